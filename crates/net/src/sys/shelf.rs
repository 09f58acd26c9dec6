//! Fixed arrays on the heap that the kernel reaches by pointers kept in other arrays.

use std::ptr::NonNull;

/// A fixed array on the heap. It is only reached through its raw pointer, so that pointers to its elements, kept in
/// message headers, stay valid as long as it lives.
pub(super) struct Shelf<T: Copy> {
    first: NonNull<T>,
    len: usize,
}

impl<T: Copy> Shelf<T> {
    /// `len` times the same value.
    pub(super) fn new(value: T, len: usize) -> Self {
        Self::from(vec![value; len])
    }

    /// Where element `index` lies.
    pub(super) fn at(&self, index: usize) -> *mut T {
        assert!(index < self.len, "index {index} on a shelf of {}", self.len);
        // SAFETY: the index was checked, so the result lies within the one allocation.
        unsafe { self.first.as_ptr().add(index) }
    }

    /// Elements `start..start + len`, to be read.
    pub(super) fn slice(&self, start: usize, len: usize) -> &[T] {
        assert!(start <= self.len && len <= self.len - start, "{start}+{len} on a shelf of {}", self.len);
        // SAFETY: the range was checked; all elements are initialised; nothing writes while the shelf is borrowed, as
        // the kernel writes only within calls that borrow the owner of the shelf mutably.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr().add(start), len) }
    }

    /// Elements `start..start + len`, to be changed.
    pub(super) fn slice_mut(&mut self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "{start}+{len} on a shelf of {}", self.len);
        // SAFETY: as in `slice`; the mutable borrow of the shelf makes it the only one.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr().add(start), len) }
    }
}

impl<T: Copy> From<Vec<T>> for Shelf<T> {
    fn from(elements: Vec<T>) -> Self {
        let len = elements.len();
        let first = NonNull::from(Box::leak(elements.into_boxed_slice())).cast();
        Self { first, len }
    }
}

impl<T: Copy> Drop for Shelf<T> {
    fn drop(&mut self) {
        let whole = std::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.len);
        // SAFETY: pointer and length are those of the boxed slice that was leaked in `from`, freed only here.
        drop(unsafe { Box::from_raw(whole) });
    }
}
