//! A bit for each slot of the page file: 32 bytes for 1 MiB, so that a walk over terabytes keeps its books in memory.

use crate::page::PageId;
use crate::slab::SizeClass;
use crate::slab::extent::SlotMap;

/// A set of slots.
pub(super) struct Slots {
    extents: Vec<(Option<SizeClass>, SlotMap)>,
}

/// Why a slot cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// It is there already.
    Twice,
    /// Its extent has slots of another size.
    OtherClass(SizeClass),
    /// The page file has no such extent.
    Beyond,
}

impl Slots {
    /// No slot of a page file with that many extents.
    pub(super) fn new(extents: u32) -> Self {
        Slots { extents: vec![(None, SlotMap::default()); extents as usize] }
    }

    pub(super) fn insert(&mut self, page: PageId) -> Result<(), Clash> {
        let Some((class, map)) = self.extents.get_mut(page.extent() as usize) else { return Err(Clash::Beyond) };
        match class {
            Some(class) if *class != page.class() => Err(Clash::OtherClass(*class)),
            _ => {
                *class = Some(page.class());
                if map.insert(page.slot()) { Ok(()) } else { Err(Clash::Twice) }
            }
        }
    }

    pub(super) fn has(&self, page: PageId) -> bool {
        let extent = self.extents.get(page.extent() as usize);
        extent.is_some_and(|(class, map)| *class == Some(page.class()) && map.has(page.slot()))
    }

    /// The slots, in order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = PageId> + '_ {
        (0u32..)
            .zip(&self.extents)
            .filter_map(|(number, (class, map))| Some((number, (*class)?, map)))
            .flat_map(|(number, class, map)| map.iter().map(move |slot| PageId::new(class, number, slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_in_once_and_an_extent_has_one_class() {
        let class = |bytes| SizeClass::fitting(bytes).unwrap();
        let mut slots = Slots::new(2);
        let page = PageId::new(class(8192), 1, 3);
        assert_eq!(slots.insert(page), Ok(()));
        assert_eq!(slots.insert(page), Err(Clash::Twice));
        assert_eq!(slots.insert(PageId::new(class(4096), 1, 3)), Err(Clash::OtherClass(class(8192))));
        assert_eq!(slots.insert(PageId::new(class(4096), 2, 0)), Err(Clash::Beyond));
        assert!(slots.has(page) && !slots.has(PageId::new(class(4096), 1, 3)));
        assert_eq!(slots.iter().collect::<Vec<_>>(), [page]);
    }
}
