//! Rows in one block, found by number: a row's name holds its place and a generation, so that a stale name finds nothing.

/// The name of a row: its place, and how often the place was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The place.
    pub index: u32,
    /// Tells this row from earlier ones in the same place.
    pub generation: u32,
}

#[derive(Debug)]
struct Row<T> {
    generation: u32,
    value: Option<T>,
}

/// A bounded table of rows.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    rows: Vec<Row<T>>,
    free: Vec<u32>,
    limit: usize,
}

impl<T> Slab<T> {
    /// An empty table that never holds more than `limit` rows.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX));
        Self { rows: Vec::new(), free: Vec::new(), limit }
    }

    /// How many rows are in use.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether no row is in use.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more rows fit.
    pub(crate) fn room(&self) -> usize {
        self.limit - self.len()
    }

    /// Puts a row in; `None` gives way where the table is full.
    pub(crate) fn insert(&mut self, value: T) -> Option<Id> {
        if let Some(index) = self.free.pop() {
            let row = &mut self.rows[usize::try_from(index).expect("an index of ours")];
            row.value = Some(value);
            return Some(Id { index, generation: row.generation });
        }
        if self.rows.len() >= self.limit {
            return None;
        }
        let index = u32::try_from(self.rows.len()).expect("the limit fits 32 bits");
        self.rows.push(Row { generation: 0, value: Some(value) });
        Some(Id { index, generation: 0 })
    }

    /// The row of that name.
    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let row = self.rows.get(usize::try_from(id.index).ok()?)?;
        if row.generation == id.generation { row.value.as_ref() } else { None }
    }

    /// The row of that name, to change it.
    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let row = self.rows.get_mut(usize::try_from(id.index).ok()?)?;
        if row.generation == id.generation { row.value.as_mut() } else { None }
    }

    /// Takes a row out; its name finds nothing from now on.
    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let row = self.rows.get_mut(usize::try_from(id.index).ok()?)?;
        if row.generation != id.generation {
            return None;
        }
        let value = row.value.take()?;
        row.generation = row.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    /// How many places there are, in use or free.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.rows.len()).expect("the limit fits 32 bits")
    }

    /// The row at a place, where it is in use.
    pub(crate) fn at(&self, index: u32) -> Option<(Id, &T)> {
        let row = self.rows.get(usize::try_from(index).ok()?)?;
        Some((Id { index, generation: row.generation }, row.value.as_ref()?))
    }

    /// Every row in use, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.rows
            .iter()
            .zip(0..)
            .filter_map(|(row, index)| Some((Id { index, generation: row.generation }, row.value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_name_finds_nothing() {
        let mut slab = Slab::new(2);
        let a = slab.insert('a').expect("room");
        let b = slab.insert('b').expect("room");
        assert_eq!((slab.insert('c'), slab.room()), (None, 0));
        assert_eq!((slab.remove(a), slab.remove(a), slab.get(a)), (Some('a'), None, None));
        let c = slab.insert('c').expect("room");
        assert_eq!((c.index, slab.get(a), slab.get(c), slab.get(b)), (a.index, None, Some(&'c'), Some(&'b')));
        assert!(slab.get_mut(a).is_none() && slab.remove(a).is_none());
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.iter().map(|(_, v)| *v).collect::<String>(), "cb");
    }
}
