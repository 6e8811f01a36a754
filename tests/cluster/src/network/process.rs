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

    /// The node whose process has the end at `near` of the connection to `far`.
    pub fn owner(&self, near: SocketAddr, far: SocketAddr) -> Option<usize> {
        let table = fs::read_to_string("/proc/net/tcp").ok()?;
        let inode = inode(&table, near, far)?;
        self.0.iter().position(|process| has(process.load(Ordering::Acquire), inode))
    }
}

/// Of the socket whose own address is `near`, and which is connected to `far`; both are addresses of IPv4. Others may have the same
/// address: a port is given again for a connection to somewhere else, and stays for a minute with one that is closed.
fn inode<'a>(table: &'a str, near: SocketAddr, far: SocketAddr) -> Option<&'a str> {
    let (near, far) = (shown(near)?, shown(far)?);
    let of = |line: &'a str| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = fields.next() == Some(&near) && fields.next() == Some(&far);
        ends.then(|| fields.nth(6)).flatten().filter(|inode| *inode != "0")
    };
    table.lines().find_map(of)
}

/// proc(5): the address in hexadecimal in the machine's own order, the port as a number.
fn shown(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

fn has(process: u32, inode: &str) -> bool {
    let wanted = format!("socket:[{inode}]");
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    // A file may be closed while one looks.
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.to_str() == Some(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sockets_with_one_address_the_one_is_found_that_is_connected_there() {
        let [near, far, elsewhere] =
            ["127.0.0.1:40000", "127.0.0.1:29015", "127.0.0.1:28015"].map(|text| text.parse::<SocketAddr>().unwrap());
        let line = |number: u32, far: SocketAddr, inode: u32| {
            let [near, far] = [near, far].map(|address| shown(address).unwrap());
            format!(
                "   {number}: {near} {far} 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000\n"
            )
        };
        let table = [line(0, elsewhere, 7), line(1, far, 0), line(2, far, 9), line(3, elsewhere, 0)].concat();
        assert_eq!(inode(&table, near, far), Some("9"));
        assert_eq!(inode(&table, near, elsewhere), Some("7"));
        assert_eq!(inode(&table, far, near), None);
    }
}
