//! Work that may wait for a disk, away from tasks that must not.

use super::JoinError;

/// Where such work runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocking {
    /// On a thread of the runtime's pool, so that the calling task's thread goes on with its other tasks.
    #[default]
    Pool,
    /// Where it is called, at once: for programs that run everything on one thread, whose disks do not wait.
    Here,
}

impl Blocking {
    /// Runs `work` and gives what it returns. Called on the pool it runs to its end even when the future is dropped.
    /// Errors: `work` panicked, or the runtime is ending.
    pub async fn run<T>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError>
    where
        T: Send + 'static,
    {
        match self {
            Blocking::Pool => tokio::task::spawn_blocking(work).await,
            Blocking::Here => Ok(work()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn the_pool_is_another_thread_and_here_is_this_one() {
        let here = thread::current().id();
        assert_ne!(Blocking::Pool.run(|| thread::current().id()).await.unwrap(), here);
        assert_eq!(Blocking::Here.run(|| thread::current().id()).await.unwrap(), here);
    }
}
