//! Time and randomness are those of the node whose task asks.

use openraft_rt::Instant as _;
use photondb_runtime::random::SeededRandom;

use super::*;

fn context(seed: u64, rate: f64) -> Arc<Context> {
    Arc::new(Context::new(Arc::new(SeededRandom::new(seed)), rate))
}

#[tokio::test(start_paused = true)]
async fn timers_of_a_fast_node_fire_early_and_agree_with_its_clock() {
    let began = tokio::time::Instant::now();
    within(context(1, 1.25), async {
        let (local, ahead) = (Instant::now(), Duration::from_millis(500));
        Runtime::sleep(ahead).await;
        assert_eq!(began.elapsed(), Duration::from_millis(400));
        assert!(local.elapsed() >= ahead, "{:?}", local.elapsed());
        Runtime::sleep_until(local + 2 * ahead).await;
        assert!(began.elapsed() <= Duration::from_millis(801), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn randomness_is_that_of_the_node_whose_task_asks_and_is_inherited() {
    let draw = |seed| {
        let drawn = async { Runtime::spawn(async { format!("{:?}", Runtime::thread_rng()) }).await.unwrap() };
        within(context(seed, 1.0), drawn)
    };
    let first = draw(7).await;
    assert_eq!(draw(7).await, first);
    assert_ne!(draw(8).await, first);
}
