//! The simulated disk is as hostile as it says, and no more.

use std::io;

use super::*;
use crate::disk::{Disk, File, OpenMode, SECTOR_SIZE};

fn bytes_of(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name, OpenMode::Existing).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn synced_bytes_and_names_survive_and_unsynced_ones_may_not() {
    let (mut kept, mut lost, mut mixed, mut unnamed) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = SimulatedDisk::new(seed);
        let file = disk.open("a", OpenMode::CreateNew).unwrap();
        file.write_all_at(&[1; 4 * SECTOR_SIZE], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_directory().unwrap();
        file.write_all_at(&[2; 4 * SECTOR_SIZE], 0).unwrap();
        disk.open("b", OpenMode::CreateNew).unwrap();
        disk.crash();
        assert!(file.sync_data().is_err(), "handles of an earlier life are dead");
        let bytes = bytes_of(&disk, "a");
        assert_eq!(bytes.len(), 4 * SECTOR_SIZE);
        for sector in bytes.chunks(SECTOR_SIZE) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are atomic");
        }
        match (bytes.contains(&1), bytes.contains(&2)) {
            (true, true) => mixed += 1,
            (true, false) => lost += 1,
            _ => kept += 1,
        }
        unnamed += usize::from(disk.open("b", OpenMode::Existing).is_err());
    }
    assert!(kept > 10 && lost > 10 && mixed > 10, "{kept} {lost} {mixed}");
    assert!(unnamed > 40 && unnamed < 160, "{unnamed}");
}

#[test]
fn a_crash_point_fails_everything_until_the_restart_and_frees_the_lock() {
    let disk = SimulatedDisk::new(1);
    let held = disk.lock().unwrap();
    let file = disk.open("a", OpenMode::CreateNew).unwrap();
    disk.crash_at(1);
    file.write_all_at(b"x", 0).unwrap();
    assert!(file.sync_data().is_err());
    assert!(disk.is_crashed() && disk.list().is_err() && disk.lock().is_err());
    disk.restart();
    let again = disk.lock().unwrap();
    drop(held);
    assert!(disk.lock().is_err(), "a dead lock frees nothing");
    drop(again);
    assert!(disk.lock().is_ok());
    assert_eq!(disk.operations(), 3);
}

#[test]
fn faults_strike_once_and_capacity_holds() {
    let disk = SimulatedDisk::with_options(1, SimulatedOptions { capacity_bytes: 1000, torn_sectors: true });
    let file = disk.open("a", OpenMode::CreateNew).unwrap();
    disk.fail_write_after(1);
    file.write_all_at(&[7; 500], 0).unwrap();
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(file.allocate(1001).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(1000).unwrap();
    disk.fail_sync_after(0);
    assert!(file.sync_data().is_err() && file.sync_data().is_ok());
    assert!(disk.flip_bit("a", 3) && !disk.flip_bit("a", 1000));
    assert_ne!(bytes_of(&disk, "a")[3], 7);
    disk.fail_read_after(0);
    assert!(file.read_exact_at(&mut [0; 1], 0).is_err() && file.read_exact_at(&mut [0; 1], 0).is_ok());
}

#[test]
fn a_disk_is_wiped_and_set_back_to_what_it_was() {
    let disk = SimulatedDisk::new(1);
    let file = one_file(&disk, b"first");
    disk.sync_directory().unwrap();
    let image = disk.image();
    file.write_all_at(b"later", 0).unwrap();
    file.sync_data().unwrap();
    disk.restore(&image);
    assert!(file.sync_data().is_err(), "the process that used it is dead");
    assert_eq!(bytes_of(&disk, "a"), b"first");
    disk.wipe();
    assert!(disk.names().is_empty() && disk.used_bytes() == 0);
    assert!(disk.open("a", OpenMode::CreateNew).is_ok(), "a new one begins");
}

#[test]
fn bytes_stand_where_others_were() {
    let disk = SimulatedDisk::new(1);
    let _file = one_file(&disk, b"abcdef");
    disk.sync_directory().unwrap();
    assert!(disk.misplace("a", 0, 4, 2) && !disk.misplace("a", 5, 0, 2) && !disk.misplace("b", 0, 0, 1));
    assert_eq!(bytes_of(&disk, "a"), b"abcdab");
    disk.crash();
    assert_eq!(bytes_of(&disk, "a"), b"abcdab");
}

fn one_file(disk: &SimulatedDisk, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open("a", OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_directory().unwrap();
    file
}

#[test]
fn silent_faults_confirm_what_they_did_not_do() {
    let disk = SimulatedDisk::new(1);
    disk.strike_after(Fault::StaleRead, 1);
    let file = one_file(&disk, &[1; 4096]);
    file.write_all_at(&[2; 4096], 0).unwrap();
    assert_eq!(bytes_of(&disk, "a")[..], [2; 4096][..], "the first read is let through");
    assert_eq!(bytes_of(&disk, "a")[..], [1; 4096][..], "this one is stale");
    assert_eq!(bytes_of(&disk, "a")[..], [2; 4096][..], "and only this one");
    disk.strike_after(Fault::LostWrite, 0);
    file.write_all_at(&[3; 4096], 0).unwrap();
    assert_eq!(bytes_of(&disk, "a")[..], [2; 4096][..]);
    let mut elsewhere = 0;
    for _ in 0..40 {
        disk.strike_after(Fault::MisdirectedWrite, 0);
        file.write_all_at(&[4; SECTOR_SIZE], 1024).unwrap();
        let bytes = bytes_of(&disk, "a");
        assert_eq!(bytes.len(), 4096, "a drive writes no longer file");
        elsewhere += usize::from(bytes.contains(&4));
        assert_eq!(bytes[1024..1536], [2; SECTOR_SIZE], "nothing is where it belongs");
    }
    assert!(elsewhere > 0);
    assert_eq!(disk.strikes(), 42);
    assert!(disk.trace().iter().any(|line| line.contains("a lost write strikes a")), "{:?}", disk.trace());
}

#[test]
fn a_short_write_leaves_a_prefix_and_a_failed_sync_what_is_seen_and_not_durable() {
    let (mut part, mut lost) = (0, 0);
    for seed in 0..50 {
        let disk = SimulatedDisk::new(seed);
        let file = one_file(&disk, &[1; 4096]);
        disk.strike_after(Fault::ShortWrite, 0);
        assert!(file.write_all_at(&[2; 4096], 0).is_err());
        let bytes = bytes_of(&disk, "a");
        let kept = bytes.iter().take_while(|byte| **byte == 2).count();
        assert!(kept < 4096 && bytes[kept..].iter().all(|byte| *byte == 1));
        part += usize::from(kept > 0);
        file.write_all_at(&[3; 4096], 0).unwrap();
        disk.strike_after(Fault::SyncNoSpace, 0);
        assert_eq!(file.sync_data().unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.sync_data().expect("the pages are clean, says the system");
        assert_eq!(bytes_of(&disk, "a")[..], [3; 4096][..]);
        disk.kill();
        assert!(file.sync_data().is_err(), "handles of a dead process are dead");
        assert_eq!(bytes_of(&disk, "a")[..], [3; 4096][..], "the machine goes on");
        disk.crash();
        lost += usize::from(bytes_of(&disk, "a") != [3; 4096]);
    }
    assert!(part > 30 && lost > 20, "{part} {lost}");
}

#[test]
fn space_runs_out_at_every_kind_of_call() {
    let disk = SimulatedDisk::new(1);
    let file = one_file(&disk, &[1; 512]);
    let full = |result: io::Result<()>| assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.strike_after(Fault::NoSpace, 0);
    full(disk.open("b", OpenMode::CreateNew).map(drop));
    disk.strike_after(Fault::NoSpace, 0);
    full(file.write_all_at(b"x", 0));
    disk.strike_after(Fault::NoSpace, 0);
    full(file.allocate(1 << 20));
    disk.strike_after(Fault::NoSpace, 0);
    full(file.set_len(1 << 20));
    disk.strike_after(Fault::NoSpace, 0);
    full(disk.rename("a", "b"));
    disk.strike_after(Fault::SyncNoSpace, 0);
    full(disk.sync_directory());
    assert_eq!(disk.names(), ["a"]);
    disk.strike_file_after(Fault::WriteError, 0, "b");
    file.write_all_at(b"x", 0).expect("the fault waits for another file");
}

#[test]
fn the_weather_strikes_about_as_often_as_it_says_and_the_same_seed_strikes_the_same() {
    let run = |seed| {
        let disk = SimulatedDisk::new(seed);
        let file = one_file(&disk, &[1; 512]);
        disk.set_weather(Weather::calm().with(Fault::WriteError, 1 << 13).with(Fault::ReadError, 1 << 12));
        let failed = (0..2000).filter(|_| file.write_all_at(&[2; 512], 0).is_err()).count();
        let unread = (0..2000).filter(|_| file.read_exact_at(&mut [0; 8], 0).is_err()).count();
        disk.calm();
        file.write_all_at(&[2; 512], 0).unwrap();
        (failed, unread, disk.trace_hash())
    };
    let (failed, unread, _) = run(1);
    assert!((200..300).contains(&failed) && (90..160).contains(&unread), "{failed} {unread}");
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_slow_disk_waits_for_nobody_and_says_how_long_it_took() {
    let disk = SimulatedDisk::new(1);
    let file = one_file(&disk, &[1; 4096]);
    assert_eq!(disk.take_latency(), Duration::ZERO);
    let latency = Latency { write_ns: 10_000, sync_ns: 100_000, byte_ps: 1000, ..Latency::default() };
    disk.set_latency(latency);
    for _ in 0..100 {
        file.write_all_at(&[1; 4096], 0).unwrap();
        file.sync_data().unwrap();
    }
    let usual = disk.take_latency();
    assert!((Duration::from_millis(9)..Duration::from_millis(14)).contains(&usual), "{usual:?}");
    assert_eq!(disk.take_latency(), Duration::ZERO);
    disk.set_latency(Latency { slow_one_of: 2, slow_factor: 100, ..latency });
    (0..100).for_each(|_| file.sync_data().unwrap());
    assert_eq!(disk.take_latency_up_to(usual), usual);
    assert!(disk.take_latency() > 20 * usual);
}
