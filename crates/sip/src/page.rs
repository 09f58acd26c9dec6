//! Parts of tables: an administrator looks at long ones page by page, so that no worker is held up.

use crate::slab::{Id, Slab};

/// A part of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The place that it begins with.
    pub from: u32,
    /// How many places are looked at.
    pub places: u32,
    /// The most rows that are wanted.
    pub most: usize,
}

/// What was found on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The rows, in the order of the table.
    pub found: Vec<T>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<u32>,
}

impl<T> Found<T> {
    /// Looks at one page of a table. `read` adds what is wanted of a row.
    pub(crate) fn on<R>(page: Page, table: &Slab<R>, mut read: impl FnMut(Id, &R, &mut Vec<T>)) -> Self {
        let (mut found, mut place) = (Vec::new(), page.from);
        let end = page.from.saturating_add(page.places).min(table.places());
        while place < end && found.len() < page.most {
            if let Some((id, row)) = table.at(place) {
                read(id, row, &mut found);
            }
            place += 1;
        }
        Self { found, next: (place < table.places()).then_some(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_table_once() {
        let mut table = Slab::new(10);
        let ids: Vec<_> = (0..7).map(|n| table.insert(n).expect("room")).collect();
        table.remove(ids[3]);
        let look =
            |from, places, most| Found::on(Page { from, places, most }, &table, |_, n, found| found.push(*n));
        assert_eq!(look(0, 100, 100), Found { found: vec![0, 1, 2, 4, 5, 6], next: None });
        assert_eq!(look(0, 4, 100), Found { found: vec![0, 1, 2], next: Some(4) });
        assert_eq!(look(4, 100, 2), Found { found: vec![4, 5], next: Some(6) });
        assert_eq!(look(u32::MAX, 1, 1), Found { found: vec![], next: None });
    }
}
