//! Binding addresses, and accepting on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use photondb_runtime::network::{Incoming, Listener, Net};
use photondb_runtime::task::sleep;

use crate::config::{Bind, Listen};

/// After an accept that failed, which mostly means that the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {}; choose another port with --{flag}, or move all with --port-offset",
    reason(source)
)]
pub struct BindError {
    /// What was tried.
    pub address: SocketAddr,
    /// The option that changes the port.
    pub flag: &'static str,
    /// What the system said.
    pub source: io::Error,
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another process".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to use this port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// Binds all addresses of `listen`; with port 0 all get the same free one, which is returned.
pub fn bind(net: &dyn Net, listen: &Listen) -> Result<(Vec<Box<dyn Listener>>, u16), BindError> {
    bind_each(listen, |address| net.listen(address), |listener| listener.local_address())
}

/// As [`bind`], without the network seam: HTTP is served by a library that wants the system's own sockets.
pub fn bind_system(listen: &Listen) -> Result<(Vec<TcpListener>, u16), BindError> {
    let bind = |address| {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind_each(listen, bind, TcpListener::local_addr)
}

fn bind_each<L>(
    listen: &Listen,
    bind: impl Fn(SocketAddr) -> io::Result<L>,
    local: impl Fn(&L) -> io::Result<SocketAddr>,
) -> Result<(Vec<L>, u16), BindError> {
    let failed = |address| move |source| BindError { address, flag: listen.flag, source };
    if listen.bind == Bind::All {
        // One IPv6 socket serves IPv4 too, where there is IPv6 at all.
        let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), listen.port);
        match bind(everywhere) {
            Ok(listener) => {
                let port = local(&listener).map_err(failed(everywhere))?.port();
                return Ok((vec![listener], port));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(failed(everywhere)(error)),
            Err(_) => {}
        }
    }
    let (required, optional) = addresses(&listen.bind);
    let (mut listeners, mut port) = (Vec::new(), listen.port);
    for ip in required {
        let address = SocketAddr::new(ip, port);
        let listener = bind(address).map_err(failed(address))?;
        port = local(&listener).map_err(failed(address))?.port();
        listeners.push(listener);
    }
    listeners.extend(optional.and_then(|ip| bind(SocketAddr::new(ip, port)).ok()));
    Ok((listeners, port))
}

/// Addresses that must be bound, and one that is bound where the machine has it.
fn addresses(bind: &Bind) -> (Vec<IpAddr>, Option<IpAddr>) {
    match bind {
        Bind::Loopback => (vec![Ipv4Addr::LOCALHOST.into()], Some(Ipv6Addr::LOCALHOST.into())),
        Bind::All => (vec![Ipv4Addr::UNSPECIFIED.into()], None),
        Bind::Addresses(addresses) => (addresses.clone(), None),
    }
}

/// Accepts for ever. The task that runs it is dropped to stop.
pub async fn accept(mut listener: Box<dyn Listener>, serve: impl Fn(Box<dyn Incoming>)) {
    loop {
        match listener.accept().await {
            Ok(incoming) => serve(incoming),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}
