//! stub
use crate::trouble::Result;
pub(crate) fn run() -> Result<()> {
    let _ = crate::http::get;
    let _ = crate::bases::names;
    Ok(())
}
