//! How far a long command is, shown on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

/// What takes less than this is done before anybody could read how far it is.
const MANY: usize = 2_000;
/// Between two pictures of a bar that does not know how far it is.
const TICK: Duration = Duration::from_millis(100);

/// A bar on standard error, as long as it lives. There is none where standard error is no terminal, none beside JSON, and
/// none for little work.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar of `steps` steps.
    pub(crate) fn of(context: &Context, steps: usize, doing: &'static str) -> Self {
        let bar = bar(context, steps);
        // A template that does not parse would be a defect of this function, and leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}") {
            bar.set_style(style);
        }
        bar.set_message(doing);
        Self(bar)
    }

    /// For work that does not tell how far it is: what is done, of how many, and since when.
    pub(crate) fn unmeasured(context: &Context, steps: usize, doing: &'static str) -> Self {
        let bar = bar(context, steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {human_len} tokens, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(doing);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// So many steps of so many are done.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// One step is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }
}

fn bar(context: &Context, steps: usize) -> ProgressBar {
    let target = if context.io.stderr_is_terminal && !context.json && steps >= MANY {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    ProgressBar::with_draw_target(u64::try_from(steps).ok(), target)
}

/// What comes after it begins on a clean line.
impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
