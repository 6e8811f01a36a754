//! Writers, one subscription that sees a life from its beginning, and one that begins somewhere in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use photondb_query::table::{Subscription, Table};
use photondb_runtime::fiber::{self, StackSize};
use photondb_runtime::task::{self, JoinHandle};
use tokio::time::sleep;

use crate::checker::feed_is_complete::{Feed, FeedChange};
use crate::document::value_of;
use crate::random::Random;
use crate::site::Site;
use crate::workload::{read_or_write, start_clients};

/// Who reads the table for a feed's beginning and end.
const OBSERVER: u64 = 1_000;

/// After the last write: for what is still on its way to a listener.
const FEED_DELAY_MAX: Duration = Duration::from_millis(50);

/// Starts writers and subscribers.
pub fn start(site: &Rc<Site>, random: &mut Random) -> Vec<JoinHandle<()>> {
    // Before the writers, which begin when it has begun.
    let (early, late) = (random.fork(), random.fork());
    let mut tasks = vec![task::spawn_local(follow(site.clone(), early, true))];
    tasks.extend(start_clients(site, random, read_or_write));
    let writers = tasks.split_off(1);
    tasks.push(task::spawn_local(follow(site.clone(), late, false)));
    tasks.extend(writers.into_iter().map(|writer| {
        let site = site.clone();
        task::spawn_local(async move {
            // A writer that panicked ends the run by itself.
            let _ = writer.await;
            site.stopped.set(site.stopped.get() + 1);
        })
    }));
    tasks
}

async fn follow(site: Rc<Site>, mut random: Random, early: bool) {
    if !early {
        sleep(random.millis(1..=1_000)).await;
    }
    let began = site.history.borrow_mut().moment();
    let feed = Rc::new(RefCell::new(Feed { life: site.life, began, ..Feed::default() }));
    let subscription = match site.node.table().subscribe() {
        Ok(subscription) => subscription,
        Err(error) => return site.trace.event(format_args!("subscribing: {error}")),
    };
    let listening = {
        let (site, feed) = (site.clone(), feed.clone());
        task::spawn_local(async move {
            let listener = (site.clone(), feed);
            let ended =
                fiber::run(StackSize::for_depth(8), move || listen(subscription, &listener.0, &listener.1)).await;
            site.trace.event(format_args!("feed ended: {ended:?}"));
        })
    };
    // Nothing is written before the first writer is polled, which is after this task.
    let initial = if early { site.read_all(OBSERVER).await } else { None };
    feed.borrow_mut().initial = initial;
    while site.stopped.get() < site.plan.clients {
        sleep(Duration::from_millis(10)).await;
        site.judge.take(feed.borrow().check_progress(&site.history.borrow()));
        if !site.judge.is_content() {
            break;
        }
    }
    sleep(FEED_DELAY_MAX).await;
    let last = site.read_all(OBSERVER).await;
    feed.borrow_mut().last = last;
    site.judge.take(feed.borrow().check_end(&site.history.borrow()));
    listening.abort();
}

fn listen(mut subscription: Box<dyn Subscription>, site: &Site, feed: &RefCell<Feed>) {
    loop {
        let changes = match subscription.next() {
            Ok(changes) => changes,
            Err(error) => return site.judge.accuse("feeds go on", error.to_string()),
        };
        for change in changes {
            let document = change.new.as_ref().or(change.old.as_ref());
            let key = document.and_then(|document| document.field("id").and_then(|id| id.as_integer()).ok());
            let value = |side: &Option<_>| side.as_ref().map_or(Ok(None), value_of);
            let (Some(key), Ok(old), Ok(new)) = (key, value(&change.old), value(&change.new)) else {
                return site.judge.accuse("documents are whole", format!("{change:?}"));
            };
            let change = FeedChange { key: key.unsigned_abs(), old, new, position: change.position.index };
            site.trace.event(format_args!("feed {change:?}"));
            feed.borrow_mut().changes.push(change);
        }
    }
}
