//! A server that is the reference model, with a driver port, bad connections, and defects to choose: workloads and clients
//! are tried on it without a cluster.

mod conversation;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use photondb_reql::wire::{Accounts, Credentials};
use photondb_runtime::network::{ByteStream, LocalFuture};
use photondb_runtime::task;
use serde_json::{Value, json};
use tokio::io::duplex;
use tokio::time::Instant;

use super::ClusterWorkload;
use crate::checker::Violation;
use crate::client::{Client, ClientId, Login, Micros, NodeIndex, Outside};
use crate::model::{Database, Fault, Model};
use crate::random::Random;
use crate::term::{Term, number};

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// Acknowledges a write and forgets it.
    LosesWrites,
    /// Answers a read from an older state.
    ReadsStale,
    /// Carries a write out twice.
    WritesTwice,
    /// Carries a write out and says that it did not.
    DeniesWrites,
    /// Says that it did a write, twice the second time.
    RepeatsLate,
    /// Changes a number of a document behind everybody's back.
    ChangesNumbers,
    /// Leaves a row out of a read of several.
    MissesRows,
    /// Gives a row twice.
    DoublesRows,
    /// A feed leaves a change out.
    SkipsChanges,
    /// A feed gives a change twice.
    DoublesChanges,
    /// A feed gives two changes in the wrong order.
    SwapsChanges,
    /// A feed begins without its newest document.
    ShortInitial,
}

/// One query in so many is hit by the defect.
const DEFECT_IN: u64 = 15;

pub struct Server {
    model: RefCell<Model>,
    older: RefCell<VecDeque<Database>>,
    random: RefCell<Random>,
    defect: Defect,
    /// One query in so many meets trouble; zero: none does.
    trouble_in: Cell<u64>,
    began: Instant,
    password: &'static str,
}

pub struct Port(pub Rc<Server>);

impl Outside for Port {
    fn nodes(&self) -> usize {
        3
    }

    fn connect(&self, _: NodeIndex) -> LocalFuture<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            if self.0.meets_trouble() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (ours, theirs) = duplex(1 << 16);
            task::spawn_local(conversation::serve(self.0.clone(), theirs));
            Ok(Box::new(ours) as Box<dyn ByteStream>)
        })
    }

    fn now(&self) -> Micros {
        Micros(self.0.began.elapsed().as_micros() as u64)
    }
}

struct Admin(&'static str);

impl Accounts for Admin {
    fn credentials(&mut self, user: &str) -> Option<Credentials> {
        (user == "admin").then(|| Credentials::from_password(self.0.as_bytes(), [7; 16], 4))
    }

    fn nonce(&mut self) -> [u8; 18] {
        [5; 18]
    }

    fn decoy_secret(&mut self) -> [u8; 32] {
        [6; 32]
    }
}

impl Server {
    pub fn new(seed: u64, defect: Defect, trouble_in: u64, password: &'static str) -> Rc<Server> {
        Rc::new(Server {
            model: RefCell::new(Model::new()),
            older: RefCell::default(),
            random: RefCell::new(Random::new(seed)),
            defect,
            trouble_in: Cell::new(trouble_in),
            began: Instant::now(),
            password,
        })
    }

    fn draw(&self, limit: u64) -> u64 {
        self.random.borrow_mut().below(limit)
    }

    fn meets_trouble(&self) -> bool {
        let trouble_in = self.trouble_in.get();
        trouble_in > 0 && self.draw(trouble_in) == 0
    }

    fn is_hit(&self) -> bool {
        self.defect != Defect::None && self.draw(DEFECT_IN) == 0
    }

    async fn pause(&self, millis: u64) {
        let pause = self.random.borrow_mut().millis(0..=millis);
        task::sleep(pause).await;
    }

    /// Carries out a query: the kind of the answer, its number of error, its results.
    fn execute(&self, query: &Term) -> (u64, Option<u64>, Vec<Value>) {
        match query[0].as_u64() {
            Some(number::INDEX_WAIT) => return (1, None, vec![json!([])]),
            Some(number::RECONFIGURE) => return (1, None, vec![json!({ "reconfigured": 1 })]),
            _ => {}
        }
        let hit = self.is_hit();
        let mut model = self.model.borrow_mut();
        let before = model.database.journal().len();
        let mut answered = model.run(query);
        let wrote = model.database.journal().len() > before;
        match (self.defect, wrote) {
            (Defect::LosesWrites, true) if hit => model.database.rewind(before),
            (Defect::WritesTwice, true) if hit => drop(model.run(query)),
            (Defect::DeniesWrites, true) if hit => return (18, Some(4_100_000), vec![json!("not available")]),
            (Defect::RepeatsLate, true) if hit => answered = model.run(query),
            (Defect::ChangesNumbers, true) if hit => change_a_number(&mut model.database),
            (Defect::ReadsStale, false) if hit => {
                if let Some(older) = self.older.borrow().front() {
                    answered = Model { database: older.clone() }.run(query);
                }
            }
            _ => {}
        }
        if self.defect == Defect::ReadsStale && wrote {
            let mut older = self.older.borrow_mut();
            older.push_back(model.database.clone());
            if older.len() > 12 {
                older.pop_front();
            }
        }
        match answered {
            Ok(expected) => {
                let mut json = expected.to_json();
                if let Value::Array(rows) = &mut json
                    && hit
                    && !rows.is_empty()
                {
                    match self.defect {
                        Defect::MissesRows => drop(rows.pop()),
                        Defect::DoublesRows => rows.push(rows[0].clone()),
                        _ => {}
                    }
                }
                match (expected, json) {
                    (crate::model::Expected::Rows(..), Value::Array(rows)) => (2, None, rows),
                    (_, value) => (1, None, vec![value]),
                }
            }
            Err(Fault::Error(kind, message)) => {
                use crate::client::ErrorKind::{Logic, NonExistence};
                let error = if kind == Logic {
                    3_000_000
                } else if kind == NonExistence {
                    3_100_000
                } else {
                    4_100_000
                };
                (18, Some(error), vec![json!(message)])
            }
            // Nobody knows the answer, so that none is given; a workload that needs one does not get on.
            Err(Fault::Undefined(what)) => (16, None, vec![json!(format!("not in the model: {what}"))]),
        }
    }
}

/// Adds one to a number of the document that was written last.
fn change_a_number(database: &mut Database) {
    let Some(last) = database.journal().last().cloned() else { return };
    let Ok(key) = last.new.field("id").cloned() else { return };
    let mut json = last.new.to_json();
    let accounts = json.get("accounts").is_some();
    let place = if accounts {
        &mut json["accounts"]["a0"]
    } else if json.get("v").is_some() {
        &mut json["v"]
    } else {
        &mut json["n"]
    };
    *place = json!(place.as_i64().unwrap_or(0) + 1_000);
    let new = crate::model::Value::from_json(&json).unwrap();
    database.put(&last.table, key, new).unwrap();
}

/// What came of a rehearsal.
pub struct Rehearsed {
    pub violations: Vec<Violation>,
    pub finished: bool,
    pub undecided: u64,
}

/// Lets `clients` take steps for so long in virtual time, then ends the trouble and checks.
pub fn rehearse(
    seed: u64,
    workload: Rc<dyn ClusterWorkload>,
    clients: u64,
    defect: Defect,
    trouble_in: u64,
    duration: Duration,
) -> Rehearsed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let mut random = Random::new(seed);
        let server = Server::new(random.bits(), defect, trouble_in, "");
        let port: Rc<dyn Outside> = Rc::new(Port(server.clone()));
        let mut client = |id| Client::new(ClientId(id), port.clone(), Login::default(), random.fork());
        let mut observer = client(clients);
        workload.setup(&mut observer).await.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        let (stopped, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let tasks: Vec<_> = (0..clients)
            .map(|id| {
                let (mut client, workload, server) = (client(id), workload.clone(), server.clone());
                let (stopped, done) = (stopped.clone(), done.clone());
                let mut random = Random::new(seed.rotate_left(32) ^ id);
                task::spawn_local(async move {
                    client.set_answer_wait(Duration::from_millis(400));
                    while server.began.elapsed() < duration {
                        workload.step(&mut client, &mut random).await;
                        task::sleep(random.millis(0..=3)).await;
                    }
                    stopped.set(stopped.get() + 1);
                    while !done.get() {
                        workload.linger(&mut client).await;
                        task::sleep(Duration::from_millis(1)).await;
                    }
                })
            })
            .collect();
        while stopped.get() < clients {
            assert!(!tasks.iter().any(|task| task.is_finished()), "seed {seed}: a client panicked");
            task::sleep(Duration::from_millis(1)).await;
        }
        server.trouble_in.set(0);
        task::sleep(Duration::from_secs(1)).await;
        let finished = workload.finish(&mut observer).await.is_ok();
        done.set(true);
        for task in tasks {
            task.await.unwrap();
        }
        let mut undecided = 0;
        let violations = workload.check(&mut undecided);
        Rehearsed { violations, finished, undecided }
    })
}
