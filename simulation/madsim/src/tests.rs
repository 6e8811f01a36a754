//! What dependents of tokio rely on.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use madsim::runtime::Runtime as World;

use super::runtime::{Builder, Handle};
use super::time::{Duration, Instant, error::Elapsed, sleep, sleep_until, timeout};
use super::{spawn, task};

fn world(seed: u64) -> World {
    World::with_seed_and_config(seed, madsim::Config::default())
}

#[test]
fn tasks_that_are_ready_run_in_many_orders_and_the_seed_says_in_which() {
    let order = |seed| {
        world(seed).block_on(async {
            let ran = Arc::new(Mutex::new(Vec::new()));
            let run = |number: u32| {
                let ran = ran.clone();
                spawn(async move { ran.lock().unwrap().push(number) })
            };
            for handle in [run(0), run(1), run(2), run(3)] {
                handle.await.unwrap();
            }
            let ran = ran.lock().unwrap().clone();
            ran
        })
    };
    let orders: BTreeSet<_> = (0..100).map(order).collect();
    assert!(orders.len() > 12, "of 24 orders there were {}", orders.len());
    assert_eq!(order(7), order(7));
}

#[test]
fn a_sleep_takes_as_long_as_it_says() {
    world(1).block_on(async {
        for micros in [20, 400, 5_000] {
            let began = Instant::now();
            sleep(Duration::from_micros(micros)).await;
            let took = began.elapsed();
            assert!(took >= Duration::from_micros(micros), "{took:?}");
            assert!(took < Duration::from_micros(micros + 5), "{took:?}");
        }
        let began = Instant::now();
        sleep_until(began).await;
        sleep(Duration::ZERO).await;
        assert!(began.elapsed() < Duration::from_micros(2));
    });
}

#[test]
fn a_timeout_ends_what_takes_longer_and_nothing_else() {
    world(1).block_on(async {
        assert_eq!(timeout(Duration::from_secs(1), async { 5 }).await, Ok(5));
        assert_eq!(timeout(Duration::from_secs(2), sleep(Duration::from_secs(1))).await, Ok(()));
        let late = timeout(Duration::from_secs(1), sleep(Duration::from_secs(2))).await;
        assert!(matches!(late, Err(Elapsed { .. })));
        assert_eq!(timeout(Duration::MAX, sleep(Duration::from_secs(1))).await, Ok(()));
    });
}

#[test]
fn a_sleep_that_is_asked_often_or_dropped_wakes_nobody_for_nothing() {
    world(1).block_on(async {
        let polls = Arc::new(AtomicU64::new(0));
        let polled = polls.clone();
        spawn(async move {
            let mut asked = Box::pin(sleep(Duration::from_secs(1)));
            let mut dropped = Some(Box::pin(sleep(Duration::from_secs(2))));
            std::future::poll_fn(|cx| {
                for _ in 0..10 {
                    let _ = asked.as_mut().poll(cx);
                }
                if let Some(mut sleep) = dropped.take() {
                    let _ = sleep.as_mut().poll(cx);
                }
                polled.fetch_add(1, Ordering::Relaxed);
                Poll::<()>::Pending
            })
            .await;
        });
        sleep(Duration::from_secs(5)).await;
        assert_eq!(polls.load(Ordering::Relaxed), 2, "at the beginning, and after a second");
    });
}

#[test]
fn what_is_started_for_a_life_that_is_over_does_not_run() {
    let world = world(1);
    let (put, given) = (Arc::new(Mutex::new(None)), Arc::new(AtomicU64::new(0)));
    let node = {
        let put = put.clone();
        let begin = move || {
            let put = put.clone();
            async move {
                *put.lock().unwrap() = Some(Handle::current());
                std::future::pending::<()>().await;
            }
        };
        world.create_node().init(begin).build()
    };
    world.block_on(async {
        sleep(Duration::from_secs(1)).await;
        let handle = put.lock().unwrap().clone().unwrap();
        let count = given.clone();
        handle.spawn(async move { count.fetch_add(1, Ordering::Relaxed) }).await.unwrap();
        madsim::runtime::Handle::current().restart(node.id());
        let count = given.clone();
        assert!(handle.spawn(async move { count.fetch_add(1, Ordering::Relaxed) }).await.is_err());
        assert_eq!(given.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn there_are_no_other_runtimes_and_nothing_blocks() {
    assert_eq!(Builder::new_current_thread().enable_all().build().unwrap_err().kind(), io::ErrorKind::Unsupported);
    world(1).block_on(async {
        assert_eq!(task::spawn_blocking(|| 5).await.unwrap(), 5);
    });
}
