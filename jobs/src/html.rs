//! Where the scripts and style sheets of a page are, in bytes of its source. The page is read by a real HTML
//! tokenizer and never written back: whoever changes something replaces exactly the ranges found here.

use std::{cell::RefCell, ops::Range, rc::Rc};

use lol_html::{
    RewriteStrSettings, element,
    errors::RewritingError,
    html_content::{Element as Tag, EndTag},
    rewrite_str,
};

/// What [`outline`] found.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// `script` elements in source order.
    pub(crate) scripts: Vec<Element>,
    /// `link` elements in source order.
    pub(crate) links: Vec<Element>,
    /// Attributes named `on…` of any element, in source order.
    pub(crate) handlers: Vec<Attribute>,
    /// Where `</head>` starts, if there is one.
    pub(crate) head_end: Option<usize>,
    /// Where something can be added at the end of the body.
    pub(crate) body_end: usize,
}

/// An element of interest.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    /// The start tag.
    pub(crate) start: Range<usize>,
    /// The end tag; absent for `link`, and where the page forgot it.
    pub(crate) end: Option<Range<usize>>,
    /// Attributes in source order.
    pub(crate) attributes: Vec<Attribute>,
}

/// One attribute as the source has it: character references are not resolved.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    /// Its name in lower case.
    pub(crate) name: String,
    /// Its value without the quotes.
    pub(crate) value: String,
    /// Where the value starts, if there is one.
    pub(crate) value_start: Option<usize>,
}

/// What a browser makes of a `script` element's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptKind {
    /// A classic script.
    Classic,
    /// A module.
    Module,
    /// Something it does not run: JSON, an import map, a template, a shader.
    Data,
}

impl Element {
    /// The value of an attribute; the first one counts, as in browsers.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_str())
    }

    /// What lies between the tags; up to the end of the page where the end tag is missing.
    pub(crate) fn content(&self, page: &str) -> Range<usize> {
        self.start.end..self.end.as_ref().map_or(page.len(), |end| end.start)
    }

    /// What a browser makes of this `script` element.
    pub(crate) fn script_kind(&self) -> ScriptKind {
        let kind = self.attribute("type").unwrap_or_default().trim().to_ascii_lowercase();
        let essence = kind.split(';').next().unwrap_or_default().trim_end();
        match essence {
            ""
            | "text/javascript"
            | "application/javascript"
            | "text/ecmascript"
            | "application/ecmascript"
            | "text/jscript"
            | "application/x-javascript"
            | "text/x-javascript" => ScriptKind::Classic,
            "module" => ScriptKind::Module,
            _ => ScriptKind::Data,
        }
    }
}

/// Reads a page.
///
/// # Errors
/// When the tokenizer runs out of its memory bound.
pub(crate) fn outline(page: &str) -> Result<Outline, RewritingError> {
    let found = Rc::new(RefCell::new(Outline { body_end: page.len(), ..Outline::default() }));
    let scripts = Rc::clone(&found);
    let links = Rc::clone(&found);
    let handlers = Rc::clone(&found);
    let ends = Rc::clone(&found);
    let settings = RewriteStrSettings::new()
        .with_strict(false)
        .append_element_content_handler(element!("script", move |tag| {
            let index = scripts.borrow().scripts.len();
            scripts.borrow_mut().scripts.push(read(tag));
            let scripts = Rc::clone(&scripts);
            on_end(tag, move |range| scripts.borrow_mut().scripts[index].end = Some(range));
            Ok(())
        }))
        .append_element_content_handler(element!("link", move |tag| {
            links.borrow_mut().links.push(read(tag));
            Ok(())
        }))
        .append_element_content_handler(element!("*", move |tag| {
            let attributes = read(tag).attributes.into_iter();
            handlers.borrow_mut().handlers.extend(attributes.filter(|attribute| is_handler(&attribute.name)));
            Ok(())
        }))
        .append_element_content_handler(element!("head, body, html", move |tag| {
            let name = tag.tag_name();
            let ends = Rc::clone(&ends);
            on_end(tag, move |range| {
                let mut found = ends.borrow_mut();
                match name.as_str() {
                    "head" => found.head_end = found.head_end.or(Some(range.start)),
                    _ => found.body_end = found.body_end.min(range.start),
                }
            });
            Ok(())
        }));
    rewrite_str(page, settings)?;
    Ok(found.take())
}

fn is_handler(name: &str) -> bool {
    name.len() > 2 && name.starts_with("on") && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn on_end(tag: &mut Tag<'_, '_>, note: impl FnOnce(Range<usize>) + 'static) {
    if let Some(handlers) = tag.end_tag_handlers() {
        handlers.push(Box::new(move |end: &mut EndTag<'_>| {
            note(end.source_location().bytes());
            Ok(())
        }));
    }
}

fn read(tag: &Tag<'_, '_>) -> Element {
    let attributes = tag.attributes().iter().map(|attribute| Attribute {
        name: attribute.name(),
        value: attribute.value(),
        value_start: attribute.value_source_location().map(|location| location.bytes().start),
    });
    Element { start: tag.source_location().bytes(), end: None, attributes: attributes.collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(page: &str) -> Vec<String> {
        let outline = outline(page).unwrap();
        outline.scripts.iter().map(|script| page[script.content(page)].to_owned()).collect()
    }

    #[test]
    fn scripts_are_found_where_the_source_has_them() {
        let page = "é<SCRIPT>a('</p>')</SCRIPT ><!-- <script>no</script> --><script src=x></script>\
                    <textarea><script>no</script></textarea><script>open";
        assert_eq!(contents(page), ["a('</p>')", "", "open"]);
    }

    #[test]
    fn ends_of_head_and_body_are_found() {
        let page = "<html><head><title>a</title></head><body><p>b</body></html>";
        let outline = outline(page).unwrap();
        assert_eq!(outline.head_end, page.find("</head>"));
        assert_eq!(Some(outline.body_end), page.find("</body>"));
    }

    #[test]
    fn a_page_without_end_tags_ends_at_its_end() {
        let page = "<p>a<script>'</body>'</script>";
        let outline = outline(page).unwrap();
        assert_eq!((outline.head_end, outline.body_end), (None, page.len()));
    }

    #[test]
    fn handlers_are_found_with_their_place() {
        let page = r#"<p title=x onclick="go(1)" online><b onkeydown='x'>"#;
        let found: Vec<_> = outline(page).unwrap().handlers;
        let values: Vec<_> = found
            .iter()
            .map(|handler| (handler.name.as_str(), handler.value_start.map(|at| &page[at..=at])))
            .collect();
        assert_eq!(values, [("onclick", Some("g")), ("online", None), ("onkeydown", Some("x"))]);
    }

    #[test]
    fn script_types_are_told_apart() {
        let kind = |tag: &str| outline(&format!("{tag}</script>")).unwrap().scripts[0].script_kind();
        assert_eq!(kind("<script>"), ScriptKind::Classic);
        assert_eq!(kind("<script type=\"text/JavaScript; charset=utf-8\">"), ScriptKind::Classic);
        assert_eq!(kind("<script type=module>"), ScriptKind::Module);
        assert_eq!(kind("<script type=importmap>"), ScriptKind::Data);
        assert_eq!(kind("<script type=x-shader/x-vertex>"), ScriptKind::Data);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "(<(/)?(script|body|head|link|p|!--|svg)( on[a-z]=['\"]?\\PC)?>?|\\PC)*") {
            for script in outline(&page).unwrap().scripts {
                prop_assert!(page.get(script.content(&page)).is_some());
            }
        }
    }
}
