//! What is known of characters of the basic plane, worked out page by page when the first character of a page comes.

use std::sync::OnceLock;

/// Characters of a page.
const PAGE: usize = 256;
const PAGES: usize = 0x1_0000 / PAGE;

/// One answer a character.
pub(crate) struct Pages<T: 'static>([OnceLock<Box<[T; PAGE]>>; PAGES]);

impl<T: Copy> Pages<T> {
    pub(crate) const fn new() -> Self {
        Self([const { OnceLock::new() }; PAGES])
    }

    /// What `of` says of `c`; `of` is the same each time.
    pub(crate) fn get(&self, c: char, of: fn(char) -> T) -> T {
        let (number, place) = (c as usize / PAGE, c as usize % PAGE);
        let Some(page) = self.0.get(number) else { return of(c) };
        let page = page.get_or_init(|| {
            // A surrogate is no character, and nobody asks for it.
            let at = |place| char::from_u32((number * PAGE + place) as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            Box::new(std::array::from_fn(|place| of(at(place))))
        });
        page.get(place).copied().unwrap_or_else(|| of(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_said() {
        static CODES: Pages<u32> = Pages::new();
        for _ in 0..2 {
            assert!((0..0x11_0000).filter_map(char::from_u32).all(|c| CODES.get(c, u32::from) == u32::from(c)));
        }
    }
}
