//! Situations that a run is brought to again and again: what has to come together for them seldom does by chance. The faults of
//! an aim take the place of those that the seed draws; they are drawn from a stream of its own.

use std::time::Duration;

use super::at_leader::AtLeader;
use super::fault::{Fault, Timed};
use super::harm::{Harm, Struck};
use super::plan::{ClusterPlan, Transport};
use crate::peers::Manners;
use crate::random::Random;

/// What a run is to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Leaders stand still for about as long as an election takes, and go on in the belief that they lead.
    LeadersPaused,
    /// Leaders are cut off from all others, and clients still reach them.
    LeadersSevered,
    /// What is sent to a leader is late by more than a lease; then the leader is cut off from the others.
    AnswersLate,
    /// A member is killed and back at once, between a leader that it has just answered and a candidate who asks for its vote.
    PromisesForgotten,
    /// Every second message comes twice, once at once and once when much has happened since.
    MessagesDoubled,
    /// Disks are copied, and set back to the copy after a life or two.
    DisksSetBack,
    /// Processes are killed again and again, and started at once.
    KilledOften,
}

/// Every aim, by its name on the command line.
pub const AIMS: [(&str, Aim); 7] = [
    ("leaders-paused", Aim::LeadersPaused),
    ("leaders-severed", Aim::LeadersSevered),
    ("answers-late", Aim::AnswersLate),
    ("promises-forgotten", Aim::PromisesForgotten),
    ("messages-doubled", Aim::MessagesDoubled),
    ("disks-set-back", Aim::DisksSetBack),
    ("killed-often", Aim::KilledOften),
];

/// Messages that arrive, each in some milliseconds.
const ORDERLY: Manners =
    Manners { micros_min: 200, micros_max: 4_000, lost_one_of: 0, doubled_one_of: 0, second_after: 3, late_one_of: 0 };

impl Aim {
    /// The aim of this name.
    pub fn named(name: &str) -> Option<Aim> {
        AIMS.iter().find(|(known, _)| *known == name).map(|(_, aim)| *aim)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        AIMS.iter().find(|(_, aim)| *aim == self).map_or("", |(name, _)| *name)
    }

    /// Makes `plan` one that comes to it.
    pub fn take(self, plan: &mut ClusterPlan) {
        let mut random = Random::new(plan.seed ^ 0x00a1_3ed0);
        plan.quiet_start = true;
        match self {
            Aim::AnswersLate => plan.transport = Transport::Messages(ORDERLY),
            Aim::MessagesDoubled => {
                let second_after = random.pick(&[10, 30, 100]);
                let doubled = Manners { micros_max: 20_000, doubled_one_of: 2, second_after, ..ORDERLY };
                plan.transport = Transport::Messages(doubled);
            }
            // Who has missed a write is not elected.
            Aim::PromisesForgotten => (plan.clients, plan.think_ms) = (2, 1_000..=4_000),
            _ => {}
        }
        plan.faults.clear();
        let machines = plan.machines.len();
        let mut at = random.millis(300..=1_500);
        while at < plan.duration {
            let (faults, next) = self.once(&mut random, machines);
            plan.faults.extend(faults.into_iter().map(|timed| Timed { at: at + timed.at, ..timed }));
            at += next;
        }
    }

    /// What is done once, from zero on, and when it is done again.
    fn once(self, random: &mut Random, machines: usize) -> (Vec<Timed>, Duration) {
        let any = random.below(machines as u64) as usize;
        let timed = |at: Duration, lasts: Duration, fault: Fault| Timed { at, lasts, fault };
        let at_leader = |what: AtLeader| Fault::Harm(Harm::AtLeader(what));
        let now = Duration::ZERO;
        match self {
            Aim::LeadersPaused => {
                let lasts = random.millis(500..=2_500);
                let pause = at_leader(AtLeader::Struck(Struck::Pause));
                (vec![timed(now, lasts, pause)], lasts + random.millis(200..=1_500))
            }
            Aim::LeadersSevered => {
                let lasts = random.millis(1_200..=4_000);
                (vec![timed(now, lasts, Fault::Sever { at: any })], lasts + random.millis(200..=2_000))
            }
            Aim::AnswersLate => {
                let (late, severed) = (random.millis(500..=1_500), random.millis(1_500..=3_000));
                let millis = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                let from = late + random.millis(200..=800);
                let faults = vec![
                    timed(now, from + severed, at_leader(AtLeader::HearsLate(millis))),
                    timed(from, severed, Fault::Sever { at: any }),
                ];
                (faults, from + severed + random.millis(500..=1_500))
            }
            Aim::PromisesForgotten => {
                // Who hears nothing of the leader asks in vain for as long as the other hears of it.
                let (asks, asked) = (random.below(2) as usize, random.millis(700..=1_900));
                let after = Duration::from_millis(700);
                let faults = vec![
                    timed(now, asked + after, at_leader(AtLeader::PartedFrom(asks))),
                    timed(asked, after, at_leader(AtLeader::ForgottenBy(asks + 1))),
                ];
                (faults, asked + after + random.millis(700..=2_000))
            }
            Aim::MessagesDoubled => {
                let lasts = random.millis(100..=900);
                (vec![timed(now, lasts, Fault::Isolate { at: any })], random.millis(2_000..=6_000))
            }
            Aim::DisksSetBack => {
                let (killed, back) = (random.millis(200..=1_500), random.millis(1_000..=3_000));
                let faults = vec![
                    timed(now, now, Fault::Harm(Harm::DiskCopied { at: any })),
                    timed(killed, random.millis(0..=200), Fault::Kill { at: any }),
                    timed(killed + back, random.millis(0..=500), Fault::Harm(Harm::OlderDisk { at: any })),
                ];
                (faults, killed + back + random.millis(3_000..=6_000))
            }
            Aim::KilledOften => {
                let lasts = random.millis(0..=40);
                (vec![timed(now, lasts, Fault::Kill { at: any })], random.millis(200..=1_500))
            }
        }
    }
}
