//! One connection, and what the weather makes of it.

use std::io;
use std::time::Duration;

use photondb_history::random::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::reset;
use crate::network::Weather;

/// What is read at once, in bytes.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces under way in one direction; then nothing more is read.
const PIECES_MAX: usize = 256;

/// Carries what `near`, who connected, and the node behind the link say to each other until either has enough or the link is cut.
pub async fn serve(
    mut near: TcpStream,
    behind: u16,
    mut there: watch::Receiver<Weather>,
    mut back: watch::Receiver<Weather>,
    mut random: Random,
) {
    let Some(mut far) = connect(behind, &mut there, &mut back, &mut random).await else {
        reset(&near);
        return;
    };
    for stream in [&near, &far] {
        // It may have been reset by the other side.
        drop(stream.set_nodelay(true));
    }
    let broken = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let forth = carry(near_read, far_write, there.clone(), random.fork());
        let answers = carry(far_read, near_write, back.clone(), random.fork());
        tokio::select! {
            carried = async { tokio::try_join!(forth, answers) } => carried.is_err(),
            () = cut(&mut there) => true,
            () = cut(&mut back) => true,
        }
    };
    if broken {
        reset(&near);
        reset(&far);
    }
}

/// Waits until a direction is cut.
async fn cut(weather: &mut watch::Receiver<Weather>) {
    // The network closes with its connections.
    drop(weather.wait_for(|weather| *weather == Weather::Cut).await);
}

/// Makes the connection to the node itself, as slowly as the weather has it. `None`: it is refused.
async fn connect(
    behind: u16,
    there: &mut watch::Receiver<Weather>,
    back: &mut watch::Receiver<Weather>,
    random: &mut Random,
) -> Option<TcpStream> {
    loop {
        // Connecting takes packets of both directions.
        for direction in [&mut *there, &mut *back] {
            let weather = *direction.wait_for(|weather| *weather != Weather::Silent).await.ok()?;
            match weather {
                Weather::Cut => return None,
                weather => sleep(delay(weather, random)?).await,
            }
        }
        if [&*there, &*back].iter().all(|direction| *direction.borrow() != Weather::Silent) {
            return TcpStream::connect(("127.0.0.1", behind)).await.ok();
        }
    }
}

/// How much later the next piece arrives. `None`: it breaks the connection.
fn delay(weather: Weather, random: &mut Random) -> Option<Duration> {
    match weather {
        Weather::Slow { delay, jitter, .. } => Some(delay + jitter.mul_f64(random.below(1_000) as f64 / 1_000.0)),
        Weather::Lossy { broken_in, .. } if broken_in > 0 && random.once_in(broken_in) => None,
        Weather::Lossy { lost_in, again_after, .. } if random.once_in(lost_in) => Some(again_after),
        _ => Some(Duration::ZERO),
    }
}

/// Carries bytes of one direction until their end. Errors: the connection has broken.
async fn carry(
    reader: ReadHalf<'_>,
    writer: WriteHalf<'_>,
    weather: watch::Receiver<Weather>,
    random: Random,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::try_join!(take(reader, sender, weather.clone(), random), give(writer, receiver, weather)).map(drop)
}

/// A piece and when it may arrive.
type Piece = (Instant, Vec<u8>);

async fn take(
    mut reader: ReadHalf<'_>,
    sender: mpsc::Sender<Piece>,
    weather: watch::Receiver<Weather>,
    mut random: Random,
) -> io::Result<()> {
    let mut arrival = Instant::now();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let now_weather = *weather.borrow();
        let later = delay(now_weather, &mut random).ok_or(io::ErrorKind::ConnectionReset)?;
        // In order: nothing overtakes what was sent before.
        arrival = (arrival + pace(now_weather, length)).max(Instant::now() + later);
        // Nobody takes it when the other side has gone, which ends the connection.
        if sender.send((arrival, buffer[..length].to_vec())).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
}

/// How long a link of limited width is busy with so many bytes.
fn pace(weather: Weather, length: usize) -> Duration {
    match weather {
        Weather::Slow { bytes_per_second, .. } if bytes_per_second > 0 => {
            Duration::from_secs_f64(length as f64 / bytes_per_second as f64)
        }
        _ => Duration::ZERO,
    }
}

async fn give(
    mut writer: WriteHalf<'_>,
    mut receiver: mpsc::Receiver<Piece>,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    while let Some((arrival, bytes)) = receiver.recv().await {
        sleep_until(arrival).await;
        let cleared = weather.wait_for(|weather| *weather != Weather::Silent).await;
        cleared.map_err(|_| io::ErrorKind::ConnectionReset)?;
        writer.write_all(&bytes).await?;
    }
    writer.shutdown().await
}
