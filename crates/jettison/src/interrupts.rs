//! Ctrl-C and its like: a command ends within moments, whatever it waits for.
//!
//! Nothing needs to be undone for that. What is half-written has no name yet, the index is right at every instant, and
//! what a dead process leaves is swept by the next one: so the thread that hears the signal says the last words and ends
//! the process. Steps of a build are asked to end first, and have [`PATIENCE`] for it.

use crate::error::Outcome;
use crate::screen;
use progress::Progress;
use solver::Cancel;
use std::ops::Deref;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Hangup, interrupt, terminate.
const SIGNALS: [i32; 3] = [1, 2, 15];
/// So long steps may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long the last words may take: whoever reads them may have stopped reading.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A command that can be interrupted, until this is dropped.
pub(crate) struct Interrupts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Whether the user asked to stop.
    asked: bool,
    /// What ends the steps that run.
    steps: Option<Cancel>,
    /// Signals are somebody else's by now.
    over: bool,
}

/// Ends this process soon after SIGHUP, SIGINT or SIGTERM, with the exit code of a program that died of it. `words` are
/// said then, after all that `progress` still holds back. To be called once no user namespace is to be entered any more.
pub(crate) fn watch(words: &'static str, progress: &Progress) -> Outcome<Interrupts> {
    let watch = sandbox::signals::watch(&SIGNALS)?;
    let state = Arc::new(Mutex::new(State::default()));
    let (shared, progress) = (state.clone(), progress.clone());
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(signal) = watch.wait() else { return };
        let steps = {
            let mut state = locked(&shared);
            if state.over {
                return;
            }
            state.asked = true;
            state.steps.clone()
        };
        if let Some(steps) = steps {
            steps.cancel();
            // Another signal is an end at once.
            let _ = watch.wait_timeout(PATIENCE);
        }
        if !locked(&shared).over {
            leave(signal, words, progress);
        }
    })?;
    Ok(Interrupts(state))
}

/// Says the last words and ends the process.
fn leave(signal: i32, words: &'static str, progress: Progress) -> ! {
    let (say, said) = channel();
    // In a thread of its own: the screen may be held by one that cannot go on.
    let saying = std::thread::Builder::new().spawn(move || {
        progress.finish();
        screen::say(&format!("error: {words}"));
        let _ = say.send(());
    });
    if saying.is_ok() {
        let _ = said.recv_timeout(LAST_WORDS);
    }
    std::process::exit(128 + signal);
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Interrupts {
    /// Whether the user asked to stop.
    pub(crate) fn asked(&self) -> bool {
        locked(&self.0).asked
    }

    /// Whether the command still goes on, for work that asks now and then.
    pub(crate) fn wanted(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let state = self.0.clone();
        Arc::new(move || !locked(&state).asked)
    }

    /// Steps begin that end in good order when they are asked to; the request is made already where the user asked
    /// before.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        let cancel = Cancel::new();
        let mut state = locked(&self.0);
        if state.asked {
            cancel.cancel();
        }
        state.steps = Some(cancel.clone());
        Attempt { cancel, interrupts: self }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        locked(&self.0).over = true;
    }
}

/// Steps that run; dropped once they have ended.
pub(crate) struct Attempt<'a> {
    cancel: Cancel,
    interrupts: &'a Interrupts,
}

impl Deref for Attempt<'_> {
    type Target = Cancel;

    fn deref(&self) -> &Cancel {
        &self.cancel
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        locked(&self.interrupts.0).steps = None;
    }
}
