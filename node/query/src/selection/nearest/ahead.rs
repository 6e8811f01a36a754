//! Rows that one look around found, nearest first, with those beyond the circle that it was for.

use photondb_reql::datum::Datum;

use crate::limits::NEAREST_AHEAD_BYTES;

/// Rows with their distances in meters.
#[derive(Default)]
pub(super) struct Ahead {
    /// Within the circle that was looked at; later those not yet taken, the nearest last.
    rows: Vec<(f64, Datum)>,
    bytes: usize,
    /// Farther away than the circle.
    beyond: Vec<(f64, Datum)>,
    beyond_bytes: usize,
    /// Of those it keeps at least so many, as far as their bytes allow.
    beyond_rows: usize,
    radius: f64,
    /// Up to where all rows are here. `None`: nobody has looked.
    reach: Option<f64>,
}

impl Ahead {
    /// Of a look up to `reach` of which all up to `radius` is needed.
    pub fn new(radius: f64, reach: f64, beyond_rows: usize) -> Ahead {
        Ahead { radius, reach: Some(reach), beyond_rows, ..Ahead::default() }
    }

    /// Whether nothing more is within this distance than what is here.
    pub fn reaches(&self, radius: f64) -> bool {
        self.reach.is_some_and(|reach| radius <= reach)
    }

    pub fn add(&mut self, distance: f64, document: Datum) {
        let bytes = document.footprint();
        if distance <= self.radius {
            self.bytes += bytes;
            self.rows.push((distance, document));
        } else if self.reaches(distance) {
            self.beyond_bytes += bytes;
            self.beyond.push((distance, document));
            if self.beyond.len() > 2 * self.beyond_rows || self.beyond_bytes > NEAREST_AHEAD_BYTES {
                self.draw_in();
            }
        }
    }

    /// Rows within the circle.
    pub fn needed(&self) -> usize {
        self.rows.len()
    }

    /// What all its rows take of memory.
    pub fn bytes(&self) -> usize {
        self.bytes + self.beyond_bytes
    }

    /// Puts all rows in order, once all are here.
    pub fn sorted(mut self) -> Ahead {
        self.rows.append(&mut self.beyond);
        self.bytes += std::mem::take(&mut self.beyond_bytes);
        self.rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        self.rows.reverse();
        self
    }

    /// Takes the rows up to a distance, nearest first.
    pub fn take_within(&mut self, radius: f64) -> impl Iterator<Item = (f64, Datum)> + use<> {
        let count = self.rows.iter().rev().take_while(|(distance, _)| *distance <= radius).count();
        let taken = self.rows.split_off(self.rows.len() - count);
        self.bytes -= taken.iter().map(|(_, document)| document.footprint()).sum::<usize>();
        taken.into_iter().rev()
    }

    /// Forgets the farther half of what is beyond the circle: of rows and of bytes.
    fn draw_in(&mut self) {
        self.beyond.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (mut keep, mut bytes) = (0, 0);
        for (_, document) in self.beyond.iter().take(self.beyond_rows) {
            bytes += document.footprint();
            if bytes > NEAREST_AHEAD_BYTES / 2 {
                break;
            }
            keep += 1;
        }
        let Some((first_lost, _)) = self.beyond.get(keep) else { return };
        // Of those that are equally far away all are lost, or what is here would not be all up to a distance.
        let reach = first_lost.next_down();
        self.reach = Some(reach);
        self.beyond.truncate(keep);
        self.beyond.retain(|(distance, _)| *distance <= reach);
        self.beyond_bytes = self.beyond.iter().map(|(_, document)| document.footprint()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distances(rows: impl Iterator<Item = (f64, Datum)>) -> Vec<f64> {
        rows.map(|(distance, _)| distance).collect()
    }

    #[test]
    fn nothing_is_known_before_a_look() {
        assert!(!Ahead::default().reaches(0.0));
    }

    #[test]
    fn rows_come_nearest_first_and_once() {
        let mut ahead = Ahead::new(5.0, 10.0, 100);
        for distance in [7.0, 3.0, 11.0, 5.0, 3.0, 9.0] {
            ahead.add(distance, Datum::Null);
        }
        assert_eq!(ahead.needed(), 3);
        let mut ahead = ahead.sorted();
        assert_eq!(distances(ahead.take_within(5.0)), [3.0, 3.0, 5.0]);
        assert!(ahead.reaches(10.0) && !ahead.reaches(10.1));
        assert_eq!(distances(ahead.take_within(8.0)), [7.0]);
        assert_eq!(distances(ahead.take_within(8.0)), [] as [f64; 0]);
        assert_ne!(ahead.bytes(), 0);
        assert_eq!(distances(ahead.take_within(10.0)), [9.0]);
        assert_eq!(ahead.bytes(), 0);
    }

    #[test]
    fn what_is_too_much_beyond_the_circle_is_forgotten_from_the_far_end() {
        let mut ahead = Ahead::new(1.0, 1_000.0, 10);
        for number in (0..200u32).rev() {
            ahead.add(f64::from(number / 3), Datum::Null);
        }
        let mut ahead = ahead.sorted();
        let reach = (0..100).map(f64::from).take_while(|distance| ahead.reaches(*distance)).last().unwrap();
        assert!((2.0..10.0).contains(&reach), "{reach}");
        // What is left is all there is, ties and all.
        let expected: Vec<f64> = (0..200u32).map(|number| f64::from(number / 3)).filter(|far| *far <= reach).collect();
        assert_eq!(distances(ahead.take_within(reach)), expected);
    }
}
