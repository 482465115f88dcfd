//! The text of elements in the small documents that object stores answer with. No parser: the first element of a name
//! counts, and what is nested in it is not told apart.

/// The text of the first element of this name, entities replaced; nothing where there is none.
pub(crate) fn text(document: &str, name: &str) -> Option<String> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&amp;", "&")];
    Some(entities.iter().fold(text.trim().to_owned(), |text, (entity, sign)| text.replace(entity, sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_by_their_names() {
        let document = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>a &lt;b&gt; &amp;lt;</Message></Error>";
        assert_eq!(text(document, "Code").as_deref(), Some("NoSuchKey"));
        assert_eq!(text(document, "Message").as_deref(), Some("a <b> &lt;"));
        assert_eq!(text(document, "Nothing"), None);
        assert_eq!(text("<Code>never ends", "Code"), None);
    }
}
