//! Where the rows of an address stand on the disk. They come one after another in no order; what stays as it was stays where it
//! was, unless there are fewer than before, so that a change writes no other rows than its own.

use super::Binding;

/// Gives each binding a place of its own, without a gap. More than have places are written together, wherever they stand.
pub(super) fn settle(bindings: &mut [Binding], is_new: impl Fn(&Binding) -> bool) {
    let count = bindings.len().min(MOST);
    let mut taken = [false; MOST];
    // Those that are on the disk come first: new ones are written anyway.
    for old in [true, false] {
        for binding in bindings.iter_mut().filter(|binding| is_new(binding) != old) {
            let place = usize::from(binding.place);
            if place < count && !taken[place] {
                taken[place] = true;
            } else {
                binding.place = HOMELESS;
            }
        }
    }
    let mut free = (0..HOMELESS).filter(|place| !taken[usize::from(*place)]);
    for binding in bindings.iter_mut().filter(|binding| binding.place == HOMELESS) {
        binding.place = free.next().unwrap_or(HOMELESS);
    }
}

/// The mark of a binding without a place.
const HOMELESS: u8 = u8::MAX;

/// How many bindings of an address have places of their own.
pub(crate) const MOST: usize = HOMELESS as usize;
