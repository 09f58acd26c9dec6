//! The text of a play, cut into scenes and sentences.

use std::path::Path;

/// A sentence and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// What is acted out in one house: a title and its sentences.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// The scenes of a file.
pub(crate) fn read(file: &Path) -> Vec<Scene> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    scenes(&text)
}

fn scenes(text: &str) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim();
        if let Some(title) = line.strip_prefix("== ") {
            scenes.push(Scene { title: title.to_owned(), lines: Vec::new() });
        } else if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let scene =
                scenes.last_mut().unwrap_or_else(|| panic!("line {number}: a play begins with a title"));
            match scene.lines.last_mut() {
                Some(last) if line.starts_with(' ') => last.text.push_str(trimmed),
                _ => scene.lines.push(Line { number, text: trimmed.to_owned() }),
            }
        }
    }
    scenes
}

/// The accounts that a scene speaks of: whoever begins a sentence as a person does.
pub(crate) fn cast(scene: &Scene) -> Vec<String> {
    let mut cast = Vec::new();
    for line in &scene.lines {
        let name = line.text.split([' ', '/', ':']).next().unwrap_or_default().to_owned();
        if !["set", "server", "time", "parlour", "it"].contains(&name.as_str()) && !cast.contains(&name) {
            cast.push(name);
        }
    }
    cast
}

#[test]
fn a_text_is_cut_into_scenes() {
    let scenes =
        scenes("# about\n== One\nset a.b = 1\nromeo/x sends <a>\n   <b/></a>\n\n== Two\njuliet waits\n");
    assert_eq!(scenes.len(), 2);
    assert_eq!(scenes[0].lines[1].text, "romeo/x sends <a><b/></a>");
    assert_eq!((scenes[0].lines[1].number, scenes[1].title.as_str()), (4, "Two"));
    assert_eq!(cast(&scenes[0]), ["romeo"]);
}
