//! Who may have a process: a share for each user, so that nobody finds all of them taken by one other.
//!
//! A user may take another place while he holds less than [`SCRIPT_PROCESSES_SHARE`] times what is free (the dynamic
//! thresholds of Choudhury and Hahne, 1998, for buffers that many share). Alone he gets three quarters; what is left when he
//! has them is there for the next one, of which that one gets three quarters in turn. Nothing needs to be known of who will
//! come, and nobody waits.

use std::collections::HashMap;

use photondb_reql::Str;

use crate::limits::{SCRIPT_PROCESSES_MAX, SCRIPT_PROCESSES_SHARE};

/// The places, by who holds them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Users who hold some.
    held: HashMap<Str, usize>,
    taken: usize,
}

/// Why there is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Too many queries run JavaScript at once (at most {SCRIPT_PROCESSES_MAX}).")]
    Full,
    #[error(
        "Too many queries of the user `{user}` run JavaScript at once ({held} of {SCRIPT_PROCESSES_MAX}; the rest is for \
         other users)."
    )]
    Share { user: Str, held: usize },
}

impl Places {
    /// Takes a place for a query of `user`.
    pub fn take(&mut self, user: &Str) -> Result<(), Refusal> {
        let free = SCRIPT_PROCESSES_MAX - self.taken;
        if free == 0 {
            return Err(Refusal::Full);
        }
        let held = self.held.get(user).copied().unwrap_or(0);
        if held >= SCRIPT_PROCESSES_SHARE * free {
            return Err(Refusal::Share { user: user.clone(), held });
        }
        self.held.insert(user.clone(), held + 1);
        self.taken += 1;
        Ok(())
    }

    /// A query of `user` gives its place back.
    pub fn give_back(&mut self, user: &Str) {
        let held = self.held.get_mut(user).expect("who gives a place back has taken one");
        *held -= 1;
        if *held == 0 {
            self.held.remove(user);
        }
        self.taken -= 1;
    }

    /// Places that somebody holds.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes places until one is refused; gives how many were had.
    fn take_all(places: &mut Places, user: &str) -> usize {
        let user = Str::from(user);
        (0..).take_while(|_| places.take(&user).is_ok()).count()
    }

    #[test]
    fn whoever_comes_finds_a_place() {
        let mut places = Places::default();
        assert_eq!(take_all(&mut places, "a"), 24);
        assert_eq!(
            places.take(&Str::from("a")).unwrap_err().to_string(),
            "Too many queries of the user `a` run JavaScript at once (24 of 32; the rest is for other users)."
        );
        assert_eq!(take_all(&mut places, "b"), 6);
        assert_eq!(take_all(&mut places, "c"), 2);
        assert_eq!(places.taken(), SCRIPT_PROCESSES_MAX);
        assert_eq!(places.take(&Str::from("d")), Err(Refusal::Full));
    }

    #[test]
    fn what_is_given_back_goes_to_whom_it_belongs() {
        let mut places = Places::default();
        let (a, b) = (Str::from("a"), Str::from("b"));
        assert_eq!((take_all(&mut places, "a"), take_all(&mut places, "b")), (24, 6));
        // Three of the first user's places become free: he holds too many still, the other may have more.
        (0..3).for_each(|_| places.give_back(&a));
        assert!(matches!(places.take(&a), Err(Refusal::Share { held: 21, .. })));
        assert_eq!(take_all(&mut places, "b"), 3);
        (0..9).for_each(|_| places.give_back(&b));
        (0..21).for_each(|_| places.give_back(&a));
        assert_eq!((places.taken(), places.held.len()), (0, 0));
        assert_eq!(take_all(&mut places, "b"), 24);
    }
}
