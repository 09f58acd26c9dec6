//! The page that says which test proves what names no test that is not there.

use std::path::Path;

/// Where a name in the page leads.
fn file(short: &str) -> String {
    let (room, rest) = short.split_once('/').unwrap();
    let folder = match room {
        "S" => "crates/sip/tests/stack",
        "T" => "crates/sip/tests",
        "U" => "crates/sip/src",
        "B" => "crates/parlour/tests/sip",
        other => panic!("{other} stands for nothing"),
    };
    format!("{folder}/{rest}")
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/sip-conformance.md")).unwrap();
    let names: Vec<_> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(names.len() > 150, "only {}", names.len());
    let mut missing = Vec::new();
    for (short, test) in names {
        let source =
            std::fs::read_to_string(root.join(file(short))).unwrap_or_else(|e| panic!("{short}: {e}"));
        if !source.contains(&format!("fn {test}(")) {
            missing.push(format!("{short} has no test {test}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The texts in quotes and the numbers after `=>` of a piece of source.
fn words(source: &str, from: &str, to: &str) -> Vec<String> {
    let piece = source.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let texts = piece.split('"').skip(1).step_by(2).map(str::to_owned);
    let codes = piece.split("=> ").skip(1).filter_map(|rest| {
        let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (code.len() == 3).then_some(code)
    });
    texts.chain(codes).collect()
}

/// What stands behind a phrase that begins like others in the page: `Malformed …`.
fn told(page: &str, phrase: &str) -> bool {
    let grouped = ["Malformed ", "Missing ", "Repeated "].iter().find_map(|begin| phrase.strip_prefix(begin));
    page.contains(phrase) || grouped.is_some_and(|rest| page.contains(rest))
}

#[test]
fn every_answer_that_the_server_gives_itself_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let page = read("docs/sip.md");
    let page = page.split_once("## Every answer").unwrap().1.split_once("\n## ").unwrap().0;
    let refusal = read("crates/sip/src/proxy/refusal.rs");
    let fault = read("crates/sip/src/message/fault.rs");
    let mut all = words(&refusal, "pub fn code(", "\n    }\n");
    all.extend(words(&refusal, "pub fn reason(", "\n    }\n"));
    all.extend(words(&fault, "Self::Version => 505", "\nimpl "));
    assert!(all.len() > 40, "{all:?}");
    let missing: Vec<&String> = all.iter().filter(|word| !told(page, word)).collect();
    assert!(missing.is_empty(), "docs/sip.md does not tell of {missing:?}");
}
