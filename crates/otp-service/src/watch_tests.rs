//! What is said of clocks.

use std::{io, sync::Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::testing::{NOW, SetClock, store};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// The lines since it was asked last.
    fn lines(&self) -> Vec<String> {
        let octets = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(octets).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Everything of this thread is logged here from now on.
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(self.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

#[tokio::test]
async fn a_clock_that_jumps_is_told_with_what_to_do() {
    let (log, clock) = (Log::default(), Arc::new(SetClock::default()));
    let _guard = log.begin();
    let service = Service::single_threaded(store(&["alice"]), Arc::clone(&clock) as Arc<dyn Clock>);
    let watch = async |seconds, set| {
        clock.pass(seconds);
        clock.set(set);
        service.watch().await.unwrap();
        log.lines()
    };
    for _ in 0..100 {
        assert_eq!(watch(1, 0).await, [""; 0]);
    }
    assert_eq!(watch(1, 29).await, [""; 0], "less than a step");
    assert_eq!(
        watch(1, -29).await.len(),
        1,
        "that verdicts are forgotten, and nothing else"
    );
    let lines = watch(1, 3600).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "WARN",
        "the clock of this machine jumped forward",
        "seconds=35",
        "timedatectl",
    ] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    assert_eq!(watch(30, 3600).await, [""; 0], "one line a minute");
    let lines = watch(40, -7200).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("jumped back") && lines[0].contains("untold=1"),
        "{lines:?}"
    );
    assert!(lines[1].contains("forgotten"), "{lines:?}");
}

#[tokio::test]
async fn a_machine_that_is_apart_from_its_store_is_told() {
    let (log, clock) = (Log::default(), Arc::new(SetClock::default()));
    let _guard = log.begin();
    let store = store(&["alice"]);
    let service = Service::single_threaded(store.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
    let watch = async |second: u64, set| {
        clock.pass(1);
        clock.set(set);
        *store.time.lock().unwrap() = Some(UnixTime(NOW.0 + second));
        service.watch().await.unwrap();
        log.lines()
    };
    assert_eq!(watch(1, 0).await, [""; 0]);
    let lines = watch(2, -100).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("the clock of this machine jumped back"),
        "{lines:?}"
    );
    for part in [
        "are apart",
        "suspect=the clock of this machine",
        "judged by the database server's",
    ] {
        assert!(lines[1].contains(part), "{part}: {lines:?}");
    }
    assert_eq!(watch(3, 0).await, [""; 0], "told");
}
