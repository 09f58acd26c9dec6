//! The page that says which test proves what names no test that is not there.

#[test]
fn every_test_that_is_named_exists() {
    let rooms = [
        ("S", "crates/sip/tests/stack"),
        ("T", "crates/sip/tests"),
        ("U", "crates/sip/src"),
        ("B", "crates/parlour/tests/sip"),
    ];
    testkit::conformance::check("sip-conformance.md", 150, &rooms);
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
    let root = testkit::conformance::root();
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
