//! The warnings of a build, kept for its end.

use crate::{Event, Moment, Sink, Warning};
use std::sync::{Mutex, PoisonError};

/// Keeps every warning once, in the order in which they came.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Vec<Warning>>);

impl Warnings {
    /// What was warned of so far.
    #[must_use]
    pub fn all(&self) -> Vec<Warning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Warnings {
    fn event(&self, _at: Moment, event: &Event<'_>) {
        if let Event::Warning { warning, .. } = event {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !all.contains(warning) {
                all.push((*warning).clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;
    use std::sync::Arc;

    #[test]
    fn a_warning_is_kept_once() {
        let warnings = Arc::new(Warnings::default());
        let progress = Progress::new(vec![warnings.clone()]);
        let warning = |message: &str| Warning { message: message.to_owned(), ..Warning::default() };
        for message in ["a", "b", "a"] {
            progress.start("lint").warning(&warning(message));
        }
        assert_eq!(warnings.all(), [warning("a"), warning("b")]);
    }
}
