//! Whose process has the other end of a connection, as Linux tells it: `/proc/net/tcp` has the inode of each socket, and the
//! files of a process name the inodes of its sockets.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

/// The process of each node; zero: it was not started yet.
pub struct Processes(Vec<AtomicU32>);

impl Processes {
    pub fn new(nodes: usize) -> Processes {
        Processes((0..nodes).map(|_| AtomicU32::new(0)).collect())
    }

    pub fn set(&self, node: usize, process: u32) {
        self.0[node].store(process, Ordering::Release);
    }

    /// The node whose process has a connection from `address`.
    pub fn owner(&self, address: SocketAddr) -> Option<usize> {
        let inode = inode(address)?;
        self.0.iter().position(|process| has(process.load(Ordering::Acquire), &inode))
    }
}

/// Of the socket that is bound to `address`, which is an address of IPv4.
fn inode(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    // proc(5): the address in hexadecimal in the machine's own order, the port as a number.
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port());
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&wanted))?;
    line.split_whitespace().nth(9).map(str::to_owned).filter(|inode| inode != "0")
}

fn has(process: u32, inode: &str) -> bool {
    let wanted = format!("socket:[{inode}]");
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    // A file may be closed while one looks.
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.to_str() == Some(&wanted))
}
