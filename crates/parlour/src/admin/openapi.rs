//! The OpenAPI text of the admin socket's interface, from the table of commands.

use super::command::{Argument, Caller, Command, Kind};
use serde_json::{Map, Value, json};

/// The whole document on these commands.
pub fn document(commands: &[Command]) -> Value {
    let mut schemas = vec![];
    let mut paths = Map::new();
    for command in commands {
        if let Some(route) = command.route() {
            (command.returns.schemas)(&mut schemas);
            paths.insert(route, path(command));
        }
    }
    let mut components: Map<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    components.insert("Error".into(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Parlour",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Administration over the unix socket `admin.sock` in the data folder, which only the \
                            server's own user may open. Every command is a POST with its arguments as a JSON \
                            object; those that only look and need no argument may also be fetched with GET.",
        },
        "servers": [{ "url": "http://localhost", "description": "curl --unix-socket data/admin.sock" }],
        "paths": paths,
        "components": { "schemas": components },
    })
}

fn path(command: &Command) -> Value {
    let mut methods = Map::new();
    methods.insert("post".into(), operation(command, false));
    if may_be_fetched(command) {
        methods.insert("get".into(), operation(command, true));
    }
    Value::Object(methods)
}

/// Whether GET does as well as POST.
pub fn may_be_fetched(command: &Command) -> bool {
    command.reads && !command.arguments.iter().any(|argument| argument.required)
}

fn operation(command: &Command, fetched: bool) -> Value {
    let id = if fetched { format!("get-{}", command.id()) } else { command.id() };
    let description = format!("{} For {}.", command.details, command.caller.text());
    let answer = json!({ "$ref": format!("#/components/schemas/{}", (command.returns.name)()) });
    let refused = |text: &str| json!({ "description": text, "content": content(json!({ "$ref": "#/components/schemas/Error" })) });
    let mut operation = json!({
        "operationId": id,
        "summary": command.summary,
        "description": description.trim_start(),
        "tags": [command.path[0]],
        "x-caller": match command.caller {
            Caller::LocalAdministrator => "local-administrator",
            Caller::DomainAdministrator => "domain-administrator",
        },
        "responses": {
            "200": { "description": "It was done.", "content": content(answer) },
            "4XX": refused("It was asked wrongly, or what it is about is not there, is there already or is refused."),
            "5XX": refused("It could not be done."),
        },
    });
    if !fetched && !command.arguments.is_empty() {
        let required = command.arguments.iter().any(|argument| argument.required);
        operation["requestBody"] = json!({ "required": required, "content": content(body(command)) });
    }
    operation
}

fn content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn body(command: &Command) -> Value {
    let properties: Map<String, Value> =
        command.arguments.iter().map(|argument| (argument.name.into(), property(argument))).collect();
    let required: Vec<_> = command.arguments.iter().filter(|a| a.required).map(|a| a.name).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn property(argument: &Argument) -> Value {
    let mut schema = match argument.kind {
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean", "default": false }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Password => json!({ "type": "string", "format": "password", "writeOnly": true }),
        Kind::Domain => json!({ "type": "string", "format": "idn-hostname" }),
        Kind::Address | Kind::Text | Kind::Path | Kind::Document => json!({ "type": "string" }),
    };
    let help = match argument.kind {
        Kind::Document => format!("{} (here its content)", argument.help.split(';').next().unwrap_or("")),
        _ => argument.help.to_owned(),
    };
    schema["description"] = help.into();
    schema
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["kind", "message"],
            "properties": {
                "kind": {
                    "type": "string",
                    "enum": ["usage", "configuration", "not-found", "conflict", "input", "unavailable", "failed"],
                },
                "message": { "type": "string" },
                "faults": { "type": "array", "items": { "type": "object" } },
            },
        } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::COMMANDS;

    #[test]
    fn every_command_of_the_socket_is_there_and_every_reference_leads_somewhere() {
        let document = document(COMMANDS);
        let text = document.to_string();
        for command in COMMANDS {
            let Some(route) = command.route() else { continue };
            assert!(document["paths"][&route]["post"]["operationId"] == command.id(), "{route}");
        }
        for reference in text.split("\"$ref\":\"").skip(1) {
            let target = reference.split('"').next().unwrap();
            assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
        }
    }
}
