//! What a scan has found for a limit feed.

use std::collections::BTreeMap;

use photondb_reql::datum::Datum;
use sha2::{Digest, Sha256};

use super::Item;

/// What a scan has found. Its batches come from one snapshot after another: a document that moved on in the order meanwhile comes again.
#[derive(Default)]
pub(super) struct Found {
    pub items: Vec<Item>,
    /// By key, what the document was.
    prints: BTreeMap<Datum, Print>,
    /// Bytes of all of it.
    pub bytes: usize,
}

/// By which two versions of a document are told apart. The document may be much larger than what is shown of it.
type Print = [u8; 16];

impl Found {
    /// One more element. A document that is at several places is the same at each; if it differs, the ones before are not there any more.
    pub fn add(&mut self, item: Item, document: &Datum) {
        let print = print(document);
        if self.prints.get(&item.key).is_some_and(|before| *before != print) {
            self.forget(&item.key);
        }
        if self.prints.insert(item.key.clone(), print).is_none() {
            self.bytes = self.bytes.saturating_add(bytes_of_print(&item.key));
        }
        self.bytes = self.bytes.saturating_add(item.footprint());
        self.items.push(item);
    }

    /// The document is no element any more.
    pub fn forget(&mut self, key: &Datum) {
        if self.prints.remove(key).is_none() {
            return;
        }
        let gone = self.items.extract_if(.., |item| item.key == *key);
        let bytes = gone.map(|item| item.footprint()).fold(bytes_of_print(key), usize::saturating_add);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn print(document: &Datum) -> Print {
    let whole = Sha256::digest(document.to_encoded());
    let (first, _) = whole.split_first_chunk().expect("a SHA-256 has 32 bytes");
    *first
}

/// What the print of the document with this key takes.
fn bytes_of_print(key: &Datum) -> usize {
    key.footprint().saturating_add(size_of::<Print>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: i32, place: i32) -> Item {
        Item { place: place.into(), key: key.into(), number: 0, shown: place.into() }
    }

    #[test]
    fn a_document_that_is_found_again_elsewhere_is_no_more_where_it_was() {
        let mut found = Found::default();
        let mut add = |key, place, document: i32| found.add(item(key, place), &Datum::from(document));
        add(1, 10, 100);
        add(2, 20, 200);
        add(3, 30, 300);
        // At a second place of a multi index, and then at another one than it was.
        add(2, 40, 200);
        add(1, 50, 101);
        let places = |found: &Found| found.items.iter().map(|item| item.place.clone()).collect::<Vec<_>>();
        assert_eq!(places(&found), [20, 30, 40, 50].map(Datum::from));
        found.forget(&Datum::from(2));
        assert_eq!(places(&found), [30, 50].map(Datum::from));
    }

    #[test]
    fn what_was_found_counts_without_its_documents_and_until_it_is_forgotten() {
        let document = |letter: &str| Datum::from(letter.repeat(10_000));
        let mut found = Found::default();
        let one = item(1, 10).footprint();
        let print = bytes_of_print(&Datum::from(1));
        found.add(item(1, 10), &document("a"));
        assert_eq!(found.bytes, one + print);
        found.add(item(1, 20), &document("a"));
        assert_eq!(found.bytes, 2 * one + print, "it is the same document");
        found.add(item(2, 30), &document("a"));
        found.add(item(1, 40), &document("b"));
        assert_eq!(found.bytes, 2 * (one + print), "what was found of it before is not kept");
        [1, 2, 3].map(Datum::from).iter().for_each(|key| found.forget(key));
        assert_eq!((found.bytes, found.items.len()), (0, 0));
    }
}
