//! One run: lives of the process one after the other, faults in between and within, and what must hold after each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use photondb_storage::disk::simulated::{Fault, SimulatedDisk, Weather};
use photondb_storage::wal::StreamId;
use photondb_storage::{Engine, StorageError, verify};

use crate::ending::{Ending, Outcome, is_damage, violation};
use crate::events::Events;
use crate::history::Streams;
use crate::life::{Life, Owner, index_of, is_scratch};
use crate::plan::{Hostility, Plan};
use crate::random::Random;
use crate::zones::Zone;

/// Openings that may fail one after the other, while faults go on.
const OPENINGS_MAX: u64 = 6;

/// Actions after the disk has lied for the first time.
const STEPS_AFTER_LIE: u64 = 60;

/// What came out of a run.
#[derive(Debug)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// Lives of the process.
    pub lives: u64,
    /// Power losses, those during recovery included.
    pub power_losses: u64,
    /// Power losses during recovery.
    pub power_losses_in_recovery: u64,
    /// How often each fault struck.
    pub faults: [u64; Fault::ALL.len()],
    /// How often a bit of each kind of bytes flipped.
    pub rotted: [u64; Zone::ALL.len()],
    /// What the disk's calls would have taken.
    pub disk_time: Duration,
    /// Checks of the whole directory.
    pub checks: u64,
    /// What storage reported as damaged, in a run whose disk lies.
    pub reported: Option<String>,
    /// Differs when anything differs.
    pub hash: u64,
    /// What does not hold. `None`: everything held.
    pub violation: Option<String>,
    /// The last events, and the last of the disk; filled when something does not hold.
    pub trace: Vec<String>,
}

impl Report {
    /// What runs the same once more.
    pub fn repeat_command(&self) -> String {
        let Plan { seed, steps, .. } = self.plan;
        format!("cargo run -p photondb-test-storage --bin fault-run -- --seed {seed} --steps {steps}")
    }
}

/// Carries out a plan. `print` shows every event. A panic anywhere is a violation.
pub fn run(plan: &Plan, print: bool) -> Report {
    let mut run = Run::new(plan, print);
    let ran = catch_unwind(AssertUnwindSafe(|| run.all()));
    let (violation, reported) = match ran {
        Ok(Ok(())) => (None, None),
        Ok(Err(Ending::Violation(what))) => (Some(what), None),
        Ok(Err(Ending::Refused(error))) => (Some(format!("an error that ended nothing: {error}")), None),
        Ok(Err(Ending::Reported(what))) => (None, Some(what)),
        Err(payload) => {
            let said = payload.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of something");
            (Some(format!("panic: {said}")), None)
        }
    };
    run.report(violation, reported)
}

struct Run {
    plan: Plan,
    random: Random,
    disk: SimulatedDisk,
    owner: Owner,
    events: Events,
    left: u64,
    lives: u64,
    power_losses: u64,
    power_losses_in_recovery: u64,
    rotted: [u64; Zone::ALL.len()],
    checks: u64,
    /// The disk has lied, so damage may be reported.
    tainted: bool,
    /// Faults that had struck when this life began.
    strikes_at_birth: u64,
    limited: bool,
    /// Whether it was so in this life: what a checkpoint failed of is told until the next one.
    limited_in_life: bool,
    founded: bool,
}

impl Run {
    fn new(plan: &Plan, print: bool) -> Run {
        let mut random = Random::new(plan.seed);
        let disk = SimulatedDisk::with_options(random.bits(), plan.disk);
        if print {
            disk.trace_calls();
        }
        Run {
            plan: plan.clone(),
            random,
            disk,
            owner: Owner::default(),
            events: Events::new(print),
            left: plan.steps,
            lives: 0,
            power_losses: 0,
            power_losses_in_recovery: 0,
            rotted: [0; Zone::ALL.len()],
            checks: 0,
            tainted: false,
            strikes_at_birth: 0,
            limited: false,
            limited_in_life: false,
            founded: false,
        }
    }

    fn is_lying(&self) -> bool {
        self.plan.hostility == Hostility::Lying
    }

    fn all(&mut self) -> Outcome {
        (0..self.plan.groups).for_each(|_| self.owner.add_group());
        self.disk.set_weather(self.plan.weather);
        self.disk.set_latency(self.plan.latency);
        while self.left > 0 {
            let mut life = self.open(true)?;
            let outcome = self.live(&mut life);
            self.excuse(outcome)?;
            self.end(life)?;
        }
        self.finish()
    }

    /// Whether an error that ended something may: `Ok` when the disk explains it.
    fn excuse(&mut self, outcome: Outcome) -> Outcome {
        let error = match outcome {
            Err(Ending::Refused(error)) => error,
            other => return other,
        };
        self.events.note(format_args!("refused: {error}"));
        if self.disk.is_crashed() {
            return Ok(());
        }
        if is_damage(&error) {
            return match self.tainted {
                true => Err(Ending::Reported(error.to_string())),
                false => violation(format!("nothing is damaged, but: {error}")),
            };
        }
        let caused = self.disk.strikes() > self.strikes_at_birth || self.limited_in_life || self.tainted;
        if caused { Ok(()) } else { violation(format!("an error without a cause: {error}")) }
    }

    /// Opens, again and again while faults keep it from opening. Without faults it opens, or reports damage.
    fn open(&mut self, hostile: bool) -> Outcome<Life> {
        let mut attempt = 0;
        loop {
            let last = attempt == OPENINGS_MAX || !hostile;
            self.verify_sometimes()?;
            if last {
                self.disk.calm();
                self.lift_limit();
            } else if !self.is_lying() && self.random.one_of(3) {
                let bound = self.random.pick(&[10, 30, 80]);
                self.disk.crash_at(self.random.below(bound));
            }
            self.lives += 1;
            self.strikes_at_birth = self.disk.strikes();
            self.limited_in_life = self.limited;
            self.events.note(format_args!("life {} begins", self.lives));
            let outcome = self.recover();
            match outcome {
                Ok(life) => {
                    self.disk.set_weather(if last && hostile { self.plan.weather } else { self.weather_now(hostile) });
                    return Ok(life);
                }
                Err(Ending::Refused(error)) if last && !is_damage(&error) && !self.tainted => {
                    return violation(format!("it does not open although nothing fails: {error}"));
                }
                // A disk that lied may have left anything; a clean refusal is a report.
                Err(Ending::Refused(error)) if last => return Err(Ending::Reported(error.to_string())),
                other => self.excuse(other.map(drop))?,
            }
            self.power_losses_in_recovery += u64::from(self.disk.is_crashed());
            self.power_back();
            attempt += 1;
        }
    }

    fn weather_now(&self, hostile: bool) -> Weather {
        if hostile { self.plan.weather } else { Weather::calm() }
    }

    /// After an opening that failed: the power is back, or the process was killed.
    fn power_back(&mut self) {
        if self.disk.is_crashed() || (self.random.one_of(2) && !self.tainted) {
            self.power_losses += 1;
            self.disk.restart();
        } else {
            self.disk.kill();
        }
    }

    fn recover(&mut self) -> Outcome<Life> {
        let engine = Engine::open(Arc::new(self.disk.clone()), self.plan.engine.clone())?;
        self.founded = true;
        let mut found = Streams::read(engine.wal())?;
        let mut life = Life::new(engine);
        let damage = life.engine.wal().damage();
        let suspects: Vec<StreamId> =
            found.0.iter().filter(|(_, stream)| stream.state.suspect).map(|(id, _)| *id).collect();
        if !self.tainted {
            if let Some(damage) = damage.first() {
                return violation(format!("a torn tail was taken for damage: {damage}"));
            }
            if let Some(suspect) = suspects.first() {
                return violation(format!("stream {suspect} is suspect after a crash"));
            }
            if !self.owner.history.allows(&found) {
                let how = self.owner.history.describe(&found);
                return violation(format!("the log is not what was acknowledged plus a prefix: {how}"));
            }
        } else {
            self.compare_streams(&mut found, &suspects, !damage.is_empty())?;
        }
        self.owner.history.settle(found);
        if !suspects.is_empty() {
            self.owner.scratches += u64::from(suspects.iter().any(|id| is_scratch(*id)));
            self.events.note(format_args!("suspect: {suspects:?}, {} places damaged", damage.len()));
        }
        self.take_up(&mut life, &suspects)?;
        Ok(life)
    }

    /// Every stream that is not suspect is whole, though the disk lied. A stream all of whose records were in the damaged
    /// place is unknown to the log, which can then only say that there is damage.
    fn compare_streams(&mut self, found: &mut Streams, suspects: &[StreamId], damaged: bool) -> Outcome {
        let mut ids: Vec<StreamId> = self.owner.history.acknowledged.0.keys().copied().collect();
        ids.extend(found.0.keys());
        for id in ids {
            if damaged && !found.0.contains_key(&id) && !is_scratch(id) {
                return Err(Ending::Reported(format!("stream {id} is not in the damaged log")));
            }
            let (expected, found) = (self.owner.history.acknowledged.stream(id), found.stream(id));
            if !is_scratch(id) && !suspects.contains(&id) && expected != found {
                let how = self.owner.history.describe(&Streams([(id, found)].into()));
                return violation(format!("stream {id} lost something and nobody says so: {how}"));
            }
        }
        Ok(())
    }

    /// Compares each group's trees with its log, and re-applies what they lack.
    fn take_up(&mut self, life: &mut Life, suspects: &[StreamId]) -> Outcome {
        let known: Vec<u64> = self.owner.groups.keys().copied().collect();
        if let Some(stranger) = life.engine.tree_sets().iter().find(|set| !known.contains(&set.0)) {
            return violation(format!("there is a tree set {} that nobody made", stranger.0));
        }
        for id in known {
            let found = self.owner.history.now.stream(StreamId(id));
            if suspects.contains(&StreamId(id)) {
                life.erase(&mut self.owner, id, &mut self.events)?;
                continue;
            }
            if found.state.erased {
                life.drop_set(&mut self.owner, id)?;
                continue;
            }
            let group = self.owner.groups.get_mut(&id).expect("listed above");
            if !group.settle(&found) {
                return violation(format!("group {id}: an entry is not what was appended"));
            }
            let set = life.engine.tree_set(group.set());
            let index = set.as_ref().map_or(0, |set| index_of(&set.meta()));
            let purged = found.state.purged.as_ref().map_or(0, |(upto, _)| *upto);
            if purged > index {
                return violation(format!("group {id}: purged through {purged}, but the trees are at {index}"));
            }
            if let Some(durable) = set.and_then(|set| set.durable_meta()).filter(|meta| index_of(meta) > index) {
                return violation(format!("group {id}: durable at {}, but at {index}", index_of(&durable)));
            }
            group.applied = index;
            life.compare(&mut self.owner, id)?;
            let last = self.owner.groups[&id].last();
            let upto =
                if self.random.one_of(3) { index + self.random.below(last.max(index) - index + 1) } else { last };
            life.apply_upto(&mut self.owner, id, upto.max(index))?;
        }
        Ok(())
    }

    /// Works until the life ends.
    fn live(&mut self, life: &mut Life) -> Outcome {
        let until = 10 + self.random.below(80);
        for _ in 0..until {
            if self.left == 0 || self.disk.is_crashed() {
                return Ok(());
            }
            self.left -= 1;
            let number = self.random.below(100);
            let outcome = self.act(life, number);
            let ends = match &outcome {
                // After a step that failed nothing works any more.
                Err(Ending::Refused(error)) => error.is_fatal() || matches!(number, 0..30) || is_damage(error),
                _ => false,
            };
            self.excuse(outcome)?;
            if ends {
                return Ok(());
            }
        }
        Ok(())
    }

    fn act(&mut self, life: &mut Life, number: u64) -> Outcome {
        let Run { owner, random, events, plan, .. } = self;
        match number {
            0..30 => life.step_all(owner, number < 10),
            30..56 => life.append(owner, random, &plan.sizes, events),
            56..68 => life.apply(owner, random),
            68..70 => life.background(owner, random, events),
            70..73 => life.mark(owner, random),
            73..79 => life.checkpoint(owner, events),
            79..84 => life.purge(owner, random, events),
            84..90 => life.read(owner, random),
            // Several checkpoints soon after each other use slots again that readers may still reach.
            90 | 91 => {
                for _ in 0..2 + random.below(3) {
                    life.append(owner, random, &plan.sizes, events)?;
                    life.step_all(owner, false)?;
                    life.apply(owner, random)?;
                    life.checkpoint(owner, events)?;
                }
                Ok(())
            }
            92 => Ok(life.engine.wal().idle_mark()?),
            93 if random.one_of(2) => Ok(life.engine.wal().shrink()?),
            93 => Ok(life.engine.wal().prepare()?),
            94 => {
                let id = owner.draw_group(random);
                owner.add_group();
                life.erase(owner, id, events)
            }
            _ if random.one_of(plan.fault_one_of / 6) => self.fault(life),
            _ => Ok(()),
        }
    }

    fn fault(&mut self, life: &mut Life) -> Outcome {
        if self.is_lying() { self.lie(life) } else { self.fail() }
    }

    /// Something goes wrong, and the disk says so.
    fn fail(&mut self) -> Outcome {
        let within = self.random.pick(&[3, 20, 60]);
        let calls = self.random.below(within);
        match self.random.below(12) {
            0..5 => {
                self.events.note(format_args!("power is lost {calls} calls from now"));
                self.disk.crash_at(calls);
            }
            5 if self.limited => self.lift_limit(),
            5 => {
                let room = self.random.pick(&[0, 40_000, 300_000, 2_000_000]);
                self.events.note(format_args!("only {room} bytes are free"));
                self.disk.set_capacity(self.disk.used_bytes() + room);
                self.limited = true;
                self.limited_in_life = true;
            }
            _ => {
                let loud: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| !fault.is_silent()).collect();
                let fault = self.random.pick(&loud);
                let file = self.random.pick(&["", "", "pages", "wal-", "superblock"]);
                self.events.note(format_args!("{fault} of {file:?} {calls} calls from now"));
                self.disk.strike_file_after(fault, calls, file);
            }
        }
        Ok(())
    }

    fn lift_limit(&mut self) {
        self.events.note(format_args!("space is back"));
        self.disk.set_capacity(u64::MAX);
        self.limited = false;
    }

    /// Something goes wrong, and the disk says nothing. What is in the log is made durable first, and known to be: the
    /// last write of all may be lost without a trace, whatever anybody does.
    fn lie(&mut self, life: &mut Life) -> Outcome {
        life.settle(&mut self.owner)?;
        self.taint();
        if self.random.one_of(3) {
            let fault = self.random.pick(&[Fault::LostWrite, Fault::MisdirectedWrite, Fault::StaleRead]);
            let (calls, file) = (self.random.below(12), self.random.pick(&["pages", "pages", "wal-", "superblock"]));
            self.events.note(format_args!("{fault} of {file:?} {calls} calls from now"));
            self.disk.strike_file_after(fault, calls, file);
            return Ok(());
        }
        self.rot();
        Ok(())
    }

    /// From here on damage may be reported.
    fn taint(&mut self) {
        self.tainted = true;
        self.left = self.left.min(STEPS_AFTER_LIE);
    }

    /// Flips bits of one place of a drawn kind.
    fn rot(&mut self) {
        let number = self.random.below(Zone::ALL.len() as u64) as usize;
        let zone = Zone::ALL[number];
        let places = zone.places(&self.disk);
        if places.is_empty() {
            return;
        }
        let place = &places[self.random.below(places.len() as u64) as usize];
        for _ in 0..1 + self.random.below(3) {
            let offset = place.bytes.start + self.random.below(place.bytes.end - place.bytes.start);
            let flipped = self.disk.flip_bit(&place.name, offset);
            self.rotted[number] += u64::from(flipped);
            self.events.note(format_args!("{zone:?}: a bit of {} at {offset} flips: {flipped}", place.name));
        }
    }

    /// The process ends, in one way or another.
    fn end(&mut self, mut life: Life) -> Outcome {
        if self.disk.is_crashed() {
            drop(life);
            self.power_back();
            return Ok(());
        }
        let read = life.read_held();
        self.excuse(read)?;
        if self.is_lying() {
            let settled = life.settle(&mut self.owner);
            if let Err(Ending::Refused(error)) = settled {
                // What the log could not settle may be lost without a trace.
                return Err(Ending::Reported(error.to_string()));
            }
            settled?;
        }
        self.end_process(life)?;
        // What lies there while nobody looks.
        if self.is_lying() && self.random.one_of(3) {
            self.taint();
            self.rot();
        }
        Ok(())
    }

    fn end_process(&mut self, life: Life) -> Outcome {
        match self.random.below(4) {
            0 => {
                let closed = life.engine.close();
                self.owner.history.hear().map_err(Ending::Violation)?;
                self.events.note(format_args!("closed: {:?}", closed.as_ref().err()));
                self.excuse(closed.map_err(Ending::from))?;
                if self.disk.is_crashed() {
                    self.power_back();
                } else {
                    self.disk.kill();
                }
            }
            1 => {
                self.events.note(format_args!("killed"));
                drop(life);
                self.disk.kill();
            }
            _ => {
                self.events.note(format_args!("the power goes"));
                self.power_losses += 1;
                drop(life);
                self.disk.crash();
            }
        }
        Ok(())
    }

    /// The last life has no faults; it recovers everything, works, ends well, and is recovered once more.
    fn finish(&mut self) -> Outcome {
        for again in [false, true] {
            let mut life = self.open(false)?;
            let outcome = self.finish_one(&mut life, again).and_then(|()| Ok(life.engine.close()?));
            self.owner.history.hear().map_err(Ending::Violation)?;
            self.excuse(outcome)?;
            self.disk.kill();
        }
        self.verify()
    }

    fn finish_one(&mut self, life: &mut Life, again: bool) -> Outcome {
        let Run { owner, random, events, plan, .. } = self;
        for _ in 0..6 {
            life.append(owner, random, &plan.sizes, events)?;
        }
        life.settle(owner)?;
        if !owner.history.is_settled() {
            return violation("something submitted was never answered");
        }
        let live: Vec<u64> = owner.groups.keys().copied().filter(|id| !owner.is_erased(*id)).collect();
        for id in live {
            let last = owner.groups[&id].last();
            life.apply_upto(owner, id, last)?;
            life.compare(owner, id)?;
        }
        life.checkpoint(owner, events)?;
        if again {
            life.checkpoint(owner, events)?;
            for _ in 0..4 {
                life.purge(owner, random, events)?;
            }
        }
        Ok(())
    }

    /// Between two lives the directory is sound.
    fn verify_sometimes(&mut self) -> Outcome {
        if self.founded && self.random.one_of(3) { self.verify() } else { Ok(()) }
    }

    fn verify(&mut self) -> Outcome {
        self.checks += 1;
        let report = {
            let looked_at = self.disk.fork(0);
            verify::check(Arc::new(looked_at), &mut |_| ())
        };
        if self.tainted {
            return Ok(());
        }
        match report {
            Ok(report) => match report.problems.first() {
                None => Ok(()),
                Some(first) => violation(format!("the check finds {} problems: {first}", report.problems.len())),
            },
            Err(error @ StorageError::Io { .. }) => violation(format!("the check does not work: {error}")),
            Err(error) => violation(format!("the check refuses the directory: {error}")),
        }
    }

    fn report(self, violation: Option<String>, reported: Option<String>) -> Report {
        let trace = match &violation {
            None => Vec::new(),
            Some(_) => {
                let disk = self.disk.trace();
                let disk = disk.into_iter().rev().take(40).rev().map(|line| format!("disk: {line}"));
                self.events.last().map(str::to_owned).chain(disk).collect()
            }
        };
        Report {
            plan: self.plan,
            lives: self.lives,
            power_losses: self.power_losses,
            power_losses_in_recovery: self.power_losses_in_recovery,
            faults: Fault::ALL.map(|fault| self.disk.strikes_of(fault)),
            rotted: self.rotted,
            disk_time: self.disk.take_latency(),
            checks: self.checks,
            reported,
            hash: self.events.hash() ^ self.disk.trace_hash(),
            violation,
            trace,
        }
    }
}
