//! A connection accepted on one thread is served on another, and a taken port is refused.

use photondb_runtime::network::Net;
use photondb_runtime::system::SystemNet;
use photondb_runtime::task::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn an_accepted_connection_is_served_by_another_thread() {
    let (accepting, serving, calling) =
        (Executor::start("accept").unwrap(), Executor::start("serve").unwrap(), Executor::start("call").unwrap());
    let mut listener = SystemNet.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let server = serving.handle();
    accepting.handle().spawn_local(move || async move {
        let incoming = listener.accept().await.unwrap();
        server.spawn_local(move || async move {
            let mut stream = incoming.open().unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
    });
    let (send, receive) = std::sync::mpsc::channel();
    calling.handle().spawn_local(move || async move {
        let mut stream = SystemNet.connect(address).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        send.send(bytes).unwrap();
    });
    assert_eq!(&receive.recv().unwrap(), b"ping");
}

#[test]
fn a_taken_port_is_refused() {
    let listener = SystemNet.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = SystemNet.listen(listener.local_address().unwrap()).err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
}
