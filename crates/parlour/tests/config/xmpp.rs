//! What `[xmpp]` may say of components, and what is said of what it must not.

use super::{DOMAIN, check, plan};
use parlour::config::plan::Listener;
use wire::Secret;

#[test]
fn components_stand_in_a_list_or_in_tables() {
    let text = format!(
        "{DOMAIN}[[xmpp.components]]\nname = \"irc.falcot.com\"\nsecret = \"one\"\n\
         [[xmpp.components]]\nname = \"bot.falcot.com\"\nsecret = \"two\"\nlisten = \"127.0.0.1:5348\"\n"
    );
    let plan = plan(&text);
    let all: Vec<_> = plan.xmpp.components.iter().map(|c| (c.name.as_str(), c.secret.clone())).collect();
    assert_eq!(all, [("irc.falcot.com", Secret::new("one")), ("bot.falcot.com", Secret::new("two"))]);
    let places: Vec<String> = plan.component_listeners().iter().map(Listener::to_string).collect();
    assert_eq!(
        places,
        ["127.0.0.1:5347", "127.0.0.1:5348"],
        "this host alone, unless something else is said"
    );
    assert!(plan.warnings.is_empty() && plan.listeners().count() == 0);
    assert!(!format!("{plan:?}").contains("\"one\""));
}

#[test]
fn components_that_cannot_be() {
    let taken = "a component serves a domain that is no other's name, alias or rooms";
    check(
        &format!(
            "{DOMAIN}[xmpp]\ncomponents = [{{ name = \"falcot.com\", secret = \"x\" }}, {{ name = \"a.b\", secret = \"x\" }},\
             {{ name = \"a.b\", secret = \"x\" }}, {{ name = \"c.d\" }}, {{ secret = \"x\" }}, {{ name = \"e.f\", secret = \"\" }}]\n"
        ),
        &[
            &format!("4:24 xmpp.components.name: `falcot.com` is somebody's already | {taken}"),
            &format!("4:94 xmpp.components.name: `a.b` is somebody's already | {taken}"),
            "4:117 xmpp.components.secret: a component without `secret` | write secret = { file = \"irc.secret\" }",
            "4:135 xmpp.components.name: a component without `name` | write name = \"irc.example.org\"",
            "4:178 xmpp.components.secret: the secret is empty | an empty secret is known to everybody",
        ],
    );
}

#[test]
fn what_components_say_is_not_encrypted() {
    let row = |listen: &str| {
        format!(
            "{DOMAIN}[xmpp]\ncomponents = [{{ name = \"a.b\", secret = \"x\", listen = \"{listen}\" }}]\n"
        )
    };
    assert!(plan(&row("[::1]:5347")).warnings.is_empty());
    let warnings = plan(&row(":5347")).warnings;
    let expected =
        "xmpp.components: :5347 is reached from other hosts, and what components say is not encrypted";
    assert_eq!(warnings, [expected]);
}
