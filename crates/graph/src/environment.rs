//! The environment of runs, shared: however many runs a stage has, each variable that it sets is held once.
//!
//! A list from the variable that was set last to the first, whose links never change. To set one makes one link;
//! whoever holds the list as it was before still does:
//!
//! ```text
//! ENV A=1   RUN x   ENV B=2   RUN y   RUN z
//!
//!   A=1 ◀────────────── B=2
//!    ▲                   ▲ ▲
//!    x                   y z
//! ```
//! Read, a variable that was set again has its last value in its first place, as in an image's configuration.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// One environment variable of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it comes from a build argument: then the explanation of a miss says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub arg: bool,
}

/// Environment variables in order. Cloning one takes no more time and room for many variables than for one.
#[derive(Clone, Default)]
pub struct Environment {
    last: Option<Arc<Link>>,
}

struct Link {
    var: EnvVar,
    before: Option<Arc<Link>>,
}

impl Environment {
    /// Sets a variable, in its place where it is there already.
    pub fn set(&mut self, var: EnvVar) {
        self.last = Some(Arc::new(Link { var, before: self.last.take() }));
    }

    /// The variables in order.
    #[must_use]
    pub fn vars(&self) -> Vec<&EnvVar> {
        let mut links: Vec<&EnvVar> = self.links().map(|link| &link.var).collect();
        links.reverse();
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(links.len());
        let mut vars: Vec<&EnvVar> = Vec::with_capacity(links.len());
        for var in links {
            let place = *places.entry(&var.name).or_insert(vars.len());
            match vars.get_mut(place) {
                Some(known) => *known = var,
                None => vars.push(var),
            }
        }
        vars
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&EnvVar> {
        self.links().map(|link| &link.var).find(|var| var.name == name)
    }

    /// How many links there are that `known` does not hold: what this environment takes besides it.
    #[must_use]
    pub fn own_links(&self, known: &Self) -> usize {
        let known = known.last.as_ref().map(Arc::as_ptr);
        self.links().take_while(|link| Some(std::ptr::from_ref(*link)) != known).count()
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.last.as_deref(), |link| link.before.as_deref())
    }
}

impl Drop for Environment {
    /// One link after another: left to themselves, the links of a long list would be dropped each within the last.
    fn drop(&mut self) {
        let mut last = self.last.take();
        while let Some(link) = last.and_then(Arc::into_inner) {
            last = link.before;
        }
    }
}

impl FromIterator<EnvVar> for Environment {
    fn from_iter<I: IntoIterator<Item = EnvVar>>(vars: I) -> Self {
        let mut environment = Self::default();
        vars.into_iter().for_each(|var| environment.set(var));
        environment
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.vars().fmt(f)
    }
}

impl PartialEq for Environment {
    fn eq(&self, other: &Self) -> bool {
        let shared = match (&self.last, &other.last) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        };
        shared || self.vars() == other.vars()
    }
}

impl Eq for Environment {}

impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.vars())
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<EnvVar>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(name: &str, value: &str) -> EnvVar {
        EnvVar { name: name.into(), value: value.into(), arg: false }
    }

    fn shown(environment: &Environment) -> String {
        environment.vars().iter().map(|var| format!("{}={} ", var.name, var.value)).collect()
    }

    #[test]
    fn what_is_set_again_keeps_its_place() {
        let mut environment: Environment = [var("A", "1"), var("B", "2")].into_iter().collect();
        let before = environment.clone();
        environment.set(var("A", "3"));
        environment.set(var("C", "4"));
        assert_eq!(shown(&environment), "A=3 B=2 C=4 ");
        assert_eq!(shown(&before), "A=1 B=2 ");
        assert_eq!(environment.get("A"), Some(&var("A", "3")));
        assert_eq!(environment.get("D"), None);
    }

    #[test]
    fn how_it_came_about_does_not_tell_two_apart() {
        let straight: Environment = [var("A", "3"), var("B", "2")].into_iter().collect();
        let mut roundabout: Environment = [var("A", "1"), var("B", "2")].into_iter().collect();
        assert_ne!(straight, roundabout);
        roundabout.set(var("A", "3"));
        assert_eq!(straight, roundabout);
        let text = serde_json::to_string(&roundabout).unwrap();
        assert_eq!(text, r#"[{"name":"A","value":"3"},{"name":"B","value":"2"}]"#);
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), straight);
        assert_ne!(Environment::default(), straight);
        assert_eq!(Environment::default(), Environment::default());
    }

    #[test]
    fn a_variable_more_takes_one_link_and_a_long_list_ends_well() {
        let mut environment = Environment::default();
        for number in 0..50_000 {
            let before = environment.clone();
            environment.set(var(&number.to_string(), ""));
            assert_eq!(environment.own_links(&before), 1);
        }
        assert_eq!(environment.own_links(&environment.clone()), 0);
        let held = environment.clone();
        drop(environment);
        assert_eq!(held.own_links(&Environment::default()), 50_000);
        assert_eq!(held.vars().len(), 50_000);
    }
}
