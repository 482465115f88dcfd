//! The colours of the terminal renderer, as `BUILDKIT_COLORS` writes them.
//!
//! ```text
//! run=green:warning=yellow:error=red:cancel=255,165,0
//! ```
//! A colour is one of black, blue, cyan, green, magenta, red, white and yellow, with `light-` before it for its
//! brighter form, or red, green and blue from 0 to 255.

/// What a part of the screen is drawn in: the parameters of a colour sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colors {
    /// Vertices that are done.
    pub(crate) run: String,
    /// Warnings.
    pub(crate) warning: String,
    /// Vertices that failed.
    pub(crate) error: String,
    /// Vertices that were given up.
    pub(crate) cancel: String,
}

/// A part of a colour setting that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidColor {
    /// The part.
    pub part: String,
}

impl std::fmt::Display for InvalidColor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not a colour setting: parts look like `run=green` or `error=255,0,0`, their names are run, \
             warning, error and cancel",
            self.part
        )
    }
}

impl std::error::Error for InvalidColor {}

impl Default for Colors {
    fn default() -> Self {
        let (run, yellow, error) = ("34", "33", "31");
        Self { run: run.into(), warning: yellow.into(), error: error.into(), cancel: yellow.into() }
    }
}

impl Colors {
    /// The default colours changed by a setting in the form of `BUILDKIT_COLORS`. Parts that mean nothing are left
    /// out and given back, for a warning.
    #[must_use]
    pub fn parse(setting: &str) -> (Self, Vec<InvalidColor>) {
        let (mut colors, mut wrong) = (Self::default(), Vec::new());
        for part in setting.split(':').filter(|part| !part.is_empty()) {
            let place = part.split_once('=').and_then(|(name, value)| {
                let code = code(value.trim())?;
                let place = match name.trim().to_ascii_lowercase().as_str() {
                    "run" => &mut colors.run,
                    "warning" => &mut colors.warning,
                    "error" => &mut colors.error,
                    "cancel" => &mut colors.cancel,
                    _ => return None,
                };
                Some((place, code))
            });
            match place {
                Some((place, code)) => *place = code,
                None => wrong.push(InvalidColor { part: part.to_owned() }),
            }
        }
        (colors, wrong)
    }
}

fn code(value: &str) -> Option<String> {
    let lower = value.to_ascii_lowercase();
    let (name, base) = match lower.strip_prefix("light-") {
        Some(name) => (name, 90),
        None => (lower.as_str(), 30),
    };
    let names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    if let Some(at) = names.iter().position(|known| *known == name) {
        return Some((base + at).to_string());
    }
    let parts: Vec<u8> = value.split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [red, green, blue] => Some(format!("38;2;{red};{green};{blue}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_the_defaults() {
        let (colors, wrong) = Colors::parse("run=light-green:error=255,165,0:warning=Cyan");
        assert_eq!((colors.run.as_str(), colors.error.as_str()), ("92", "38;2;255;165;0"));
        assert_eq!((colors.warning.as_str(), colors.cancel.as_str()), ("36", "33"));
        assert!(wrong.is_empty());
    }

    #[test]
    fn nonsense_is_named_and_left_out() {
        let (colors, wrong) = Colors::parse("run=\x1b[2J:walk=red:error=256,0,0:cancel");
        assert_eq!(colors, Colors::default());
        assert_eq!(wrong.len(), 4);
        assert!(wrong[1].to_string().contains("`walk=red`"));
    }
}
