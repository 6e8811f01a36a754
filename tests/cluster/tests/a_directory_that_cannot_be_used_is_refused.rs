//! What a node is told to use and cannot: a clear message, an exit code that is not zero, and nothing touched.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use photondb_test_cluster::terms::{insert, table_create};
use photondb_test_cluster::{Node, photondb, text};

const FREE_PORTS: [&str; 3] = ["--driver-port=0", "--http-port=0", "--cluster-port=0"];

/// Starts a node that must refuse to; gives what it said.
fn refusal(directory: &Path, more: &[&str]) -> String {
    let output = serve(directory, more);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("photondb: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn serve(directory: &Path, more: &[&str]) -> Output {
    let directory = directory.to_str().unwrap();
    photondb(&[&["serve", "--directory", directory], &FREE_PORTS[..], more].concat())
}

/// A stopped node with a table in it.
fn stopped() -> Node {
    let mut node = Node::start();
    let mut connection = node.connect();
    connection.value(&table_create("t"));
    connection.value(&insert("t", &[r#"{"id":1}"#.to_owned()]));
    drop(connection);
    assert!(node.terminate().success());
    node
}

fn patch(file: &Path, at: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut old = vec![0; bytes.len()];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut old).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
    old
}

/// CRC-32 as in Ethernet, with an initial value.
fn crc(initial: u32, pieces: &[&[u8]]) -> u32 {
    let mut crc = !initial;
    for byte in pieces.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn log_segments(node: &Node) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("wal-") && !name.contains("spare")
    };
    fs::read_dir(node.data()).unwrap().map(|entry| entry.unwrap().path()).filter(is_segment).collect()
}

#[test]
fn a_superblock_of_a_newer_format() {
    let mut node = stopped();
    let superblock = node.data().join("superblock");
    let whole = fs::read(&superblock).unwrap();
    for block in [0, 4096] {
        let mut bytes = whole[block..block + 4096].to_vec();
        assert_eq!(bytes[..8], *b"PhotonSB");
        bytes[8] = 9;
        let checksum = crc(0, &[&bytes[..4092]]).to_le_bytes();
        bytes[4092..].copy_from_slice(&checksum);
        patch(&superblock, block as u64, &bytes);
    }
    let said = refusal(node.data(), &[]);
    assert!(said.contains("superblock") && said.contains('9') && said.contains('2'), "{said}");
    assert!(said.contains("version"), "{said}");
    let (sound, printed) = node.try_check();
    assert!(!sound && printed.contains("version"), "{printed}");
    // Nothing was touched: with the old bytes back it is the old node.
    fs::write(&superblock, whole).unwrap();
    node.check();
    node.restart();
    assert_eq!(node.connect().value("[43,[[15,[[14,[\"test\"]],\"t\"]]]]"), 1);
}

#[test]
fn a_log_segment_of_a_newer_format() {
    let mut node = stopped();
    let segments = log_segments(&node);
    assert!(!segments.is_empty());
    let old: Vec<Vec<u8>> = segments
        .iter()
        .map(|segment| {
            let mut header = vec![0; 48];
            fs::File::open(segment).unwrap().read_exact(&mut header).unwrap();
            let old = header.clone();
            assert_eq!(header[..8], *b"PhotonWL");
            header[8] = 9;
            let checksum = segment_checksum(&header);
            header[12..16].copy_from_slice(&checksum.to_le_bytes());
            patch(segment, 0, &header);
            patch(segment, 2048, &header);
            old
        })
        .collect();
    let said = refusal(node.data(), &[]);
    assert!(said.contains("version") && said.contains('9') && said.contains('2'), "{said}");
    for (segment, old) in segments.iter().zip(old) {
        assert_eq!(segment_checksum(&old).to_le_bytes(), old[12..16], "the test knows how headers are checked");
        patch(segment, 0, &old);
        patch(segment, 2048, &old);
    }
    node.check();
    node.restart();
    assert_eq!(node.connect().value("[43,[[15,[[14,[\"test\"]],\"t\"]]]]"), 1);
}

/// See `docs/storage-format.md`: seeded with both halves of the incarnation, over the position 0 and bytes 16 to 47.
fn segment_checksum(header: &[u8]) -> u32 {
    let incarnation = u64::from_le_bytes(header[16..24].try_into().unwrap());
    crc(incarnation as u32 ^ (incarnation >> 32) as u32, &[&[0; 8], &header[16..48]])
}

#[test]
fn a_directory_that_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("cat.jpg"), "meow").unwrap();
    let output = serve_briefly(&photos);
    // Other people's files are left as they are, whether it starts beside them or not.
    assert_eq!(fs::read_to_string(photos.join("cat.jpg")).unwrap(), "meow");
    println!("a directory with other files: {output}");

    let wrong = folder.path().join("wrong");
    fs::create_dir(&wrong).unwrap();
    fs::write(wrong.join("superblock"), vec![b'x'; 8192]).unwrap();
    let said = refusal(&wrong, &[]);
    assert!(said.contains(wrong.to_str().unwrap()) && said.contains("superblock"), "{said}");
    assert_eq!(fs::read(wrong.join("superblock")).unwrap(), vec![b'x'; 8192]);

    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    assert!(refusal(&file, &[]).contains(file.to_str().unwrap()));
    assert!(refusal(&file.join("below"), &[]).contains("below"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
}

/// Whether a node starts there; it is ended again.
fn serve_briefly(directory: &Path) -> &'static str {
    let mut node = Node::stopped(&[]).with_data(directory);
    match node.try_restart() {
        Ok(_) => {
            node.terminate();
            "starts"
        }
        Err(_) => "is refused",
    }
}

#[test]
fn a_directory_that_cannot_be_made() {
    let said = refusal(Path::new("/proc/photondb"), &[]);
    assert!(said.contains("/proc/photondb"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/parent/data");
    println!("a missing parent: {}", serve_briefly(&missing));
    let dangling = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("nowhere/at/all"), &dangling).unwrap();
    println!("a link to nowhere: {}", serve_briefly(&dangling));
}

#[test]
fn a_directory_in_use() {
    let mut node = Node::start();
    let said = refusal(node.data(), &[]);
    assert!(said.contains(node.data().to_str().unwrap()) && said.contains("in use by another process"), "{said}");
    let checked = photondb(&["check", node.data().to_str().unwrap()]);
    assert!(!checked.status.success() && text(&checked).contains("in use"), "{}", text(&checked));
    node.assert_well();
}

#[test]
fn a_port_in_use_names_the_flag_and_the_port() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for flag in ["--driver-port", "--http-port", "--cluster-port"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let others = FREE_PORTS.iter().filter(|other| !other.starts_with(flag)).copied();
        let chosen = format!("{flag}={port}");
        let arguments: Vec<&str> =
            ["serve", "--directory", data.to_str().unwrap(), &chosen].into_iter().chain(others).collect();
        let output = photondb(&arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(flag) && said.contains(&format!("127.0.0.1:{port}")) && said.contains("in use"),
            "{said}"
        );
        assert!(!data.exists(), "{flag}: nothing is made before the ports are there");
    }
}
