//! The thread that speaks with the servers, and how other threads wait for it.

use std::{
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::{runtime::Handle, sync::oneshot};

/// A runtime in a thread of its own: connections live in it whoever uses them, in whatever runtime or none.
#[derive(Debug)]
pub(crate) struct Driver {
    handle: Handle,
    /// Dropped with the last user: then the thread ends.
    _stop: oneshot::Sender<()>,
}

impl Driver {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("otp-store-postgres".into())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self { handle, _stop: stop })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Waits in this thread for what the thread of `driver` brings about.
///
/// Unlike a runtime's own way of waiting, this may be called anywhere; a caller whose thread must not wait has to see to
/// that.
pub(crate) fn wait<T>(driver: &Handle, future: impl Future<Output = T>) -> T {
    struct Parked(Thread);

    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    // For timers, which belong to a runtime.
    let _context = driver.enter();
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_can_be_waited_for_inside_and_outside_of_a_runtime() {
        let driver = Driver::start().unwrap();
        let sleep = || async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            7
        };
        assert_eq!(wait(driver.handle(), sleep()), 7);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let inside = runtime.block_on(async { wait(driver.handle(), sleep()) });
        assert_eq!(inside, 7);
    }
}
