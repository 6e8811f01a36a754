//! The loop of the process that runs scripts: one message in, one out, until the other end is gone.

use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::message::{LENGTH_BYTES, MessageError, Reply, Request, request_length};
use crate::realm::Realm;

/// Why the loop ended before the other end did.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("the connection to the node failed: {0}")]
    Connection(#[from] io::Error),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the JavaScript engine did not start: {0}")]
    Engine(#[from] rquickjs::Error),
}

/// Answers requests in order. Returns when the other end has closed the connection between two messages.
pub fn serve(connection: &mut (impl Read + Write)) -> Result<(), WorkerError> {
    // Made before it is asked for, so that the first script of a query need not wait for it.
    let mut realm = Realm::new()?;
    loop {
        let Some(body) = receive(connection)? else { return Ok(()) };
        match Request::decode(body)? {
            Request::Run(run) => send(connection, &realm.run(&run))?,
            Request::Reset => realm = Realm::new()?,
        }
    }
}

fn receive(connection: &mut impl Read) -> Result<Option<Bytes>, WorkerError> {
    let mut length = [0; LENGTH_BYTES];
    if connection.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    connection.read_exact(&mut length[1..])?;
    let mut body = vec![0; request_length(length)?];
    connection.read_exact(&mut body)?;
    Ok(Some(Bytes::from(body)))
}

fn send(connection: &mut impl Write, reply: &Reply) -> Result<(), WorkerError> {
    let message = match reply.encode() {
        Err(MessageError::TooLong { .. }) => Reply::Failed("The result is too large.".to_owned()).encode(),
        encoded => encoded,
    };
    connection.write_all(&message?)?;
    connection.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use photondb_reql::datum::Datum;

    use super::*;
    use crate::message::Run;

    struct Script {
        input: VecDeque<u8>,
        output: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.input.read(into)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.output.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(source: &str) -> Request {
        Request::Run(Run { source: source.to_owned(), arguments: None, array_limit: 10 })
    }

    #[test]
    fn a_reset_leaves_nothing_of_a_query_behind() {
        let requests = [
            run("Object.prototype.left = 1; var behind = 2; 0"),
            run("behind"),
            Request::Reset,
            run("({}).left === undefined && typeof behind"),
        ];
        let input = requests.iter().flat_map(|request| request.encode().unwrap()).collect();
        let mut script = Script { input, output: Vec::new() };
        serve(&mut script).unwrap();
        let replies: Vec<u8> = [Datum::from(0), Datum::from(2), Datum::from("undefined")]
            .into_iter()
            .flat_map(|datum| Reply::Value(datum).encode().unwrap())
            .collect();
        assert_eq!(script.output, replies);
    }

    #[test]
    fn half_a_message_ends_it() {
        let whole = run("1").encode().unwrap();
        let mut script = Script { input: whole[..5].iter().copied().collect(), output: Vec::new() };
        assert!(matches!(serve(&mut script), Err(WorkerError::Connection(_))));
    }
}
