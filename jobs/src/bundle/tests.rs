use proptest::prelude::*;

use super::*;

fn file(filename: &str, content: &str) -> SourceFile {
    SourceFile { filename: filename.to_owned(), content: content.to_owned() }
}

fn page(index: &str, rest: &[(&str, &str)]) -> String {
    let mut files = vec![file("index.html", index)];
    files.extend(rest.iter().map(|(name, content)| file(name, content)));
    bundle(&files).unwrap()
}

#[test]
fn referenced_files_take_the_place_of_their_reference() {
    let cases = [
        ("<script src=\"index.js\"></script>", "<script>go()</script>"),
        ("<script src='./index.js?v=2#x'> </script>", "<script>go()</script>"),
        ("<SCRIPT SRC=/index.js></SCRIPT>", "<script>go()</script>"),
        (
            "<script src=index.js id=a data-x='\"q\"' crossorigin></script>",
            "<script id=\"a\" data-x='\"q\"'>go()</script>",
        ),
        (
            "<script type=\"module\" async src=index.js></script>",
            "<script type=\"module\" async>go()</script>",
        ),
        ("<script src=\"index.js\"/><p>rest</p>", "<script>go()</script><p>rest</p>"),
        ("<link rel=stylesheet href=a.css>", "<style>p{}</style>"),
        ("<LINK REL=\"StyleSheet\" media='print' HREF=\"./a.css\" />", "<style media=\"print\">p{}</style>"),
        ("<link rel=preload as=script href=index.js><script src=index.js></script>", "<script>go()</script>"),
    ];
    for (reference, inlined) in cases {
        let files = [("index.js", "go()"), ("a.css", "p{}")];
        let used = if reference.contains(".css") { &files[1..] } else { &files[..1] };
        assert_eq!(page(&format!("<p>1\n{reference}"), used), format!("<p>1\n{inlined}"), "{reference}");
    }
}

#[test]
fn every_other_byte_stays() {
    let odd = "\u{feff}<!doctype HTML>\r\n<HTML lang=en><META charset='utf-8'><p>a&nbsp;b<p Class=x  >&lt;\t<br/>\
               <script src=index.js></script>";
    let expected = odd.trim_start_matches('\u{feff}').replace(" src=index.js>", ">1");
    assert_eq!(page(odd, &[("index.js", "1")]), expected);
}

#[test]
fn deferred_scripts_run_after_the_body_in_order() {
    let index =
        "<head><script src=a.js defer></script><script async src=b.js></script></head><body><p></body>";
    assert_eq!(
        page(index, &[("a.js", "1"), ("b.js", "2")]),
        "<head></head><body><p><script>1</script>\n<script>2</script>\n</body>"
    );
}

#[test]
fn forgotten_files_are_added() {
    let index = "<html><head><title>x</title></head><body><p></body></html>";
    let files = [("index.js", "go()"), ("style.css", "p{}"), ("README.md", "# x"), ("m.js", "export {}")];
    assert_eq!(
        page(index, &files),
        "<html><head><title>x</title><style>p{}</style>\n</head><body><p><script>go()</script>\n\
         <script type=\"module\">export {}</script>\n</body></html>"
    );
    assert_eq!(
        page("<p>", &[("index.js", "go()"), ("a.css", "p{}")]),
        "<p><style>p{}</style>\n<script>go()</script>\n"
    );
}

#[test]
fn a_file_whose_text_is_already_in_the_page_is_not_added_again() {
    let index = "<p><script>\ngo()\n</script>";
    assert_eq!(page(index, &[("index.js", "go()\n")]), index);
}

#[test]
fn text_that_would_end_the_element_is_escaped() {
    let script = "a = '</script><!--<script>' + `</SCRIPT >`; b = /<!--/u; c < d";
    assert_eq!(
        page("<script src=index.js></script>", &[("index.js", script)]),
        "<script>a = '\\x3C/script>\\x3C!--<script>' + `\\x3C/SCRIPT >`; b = /\\x3C!--/u; c < d</script>"
    );
    assert_eq!(
        page("<link rel=stylesheet href=a.css>", &[("a.css", "p::after{content:'</STYLE>'}")]),
        "<style>p::after{content:'\\3C /STYLE>'}</style>"
    );
}

#[test]
fn references_that_are_not_local_files_are_left_alone() {
    let index = "<script src=https://cdn.example/x.js></script><link rel=stylesheet href=//cdn.example/x.css>\
                 <script type=text/template src=t.html></script><link rel=icon href=a.png><script src=''></script>\
                 <link rel=stylesheet href=data:text/css,p{}>";
    assert_eq!(page(index, &[]), index);
}

#[test]
fn files_that_make_no_page_are_refused() {
    let large = "x".repeat(PAGE_BYTES_MAX);
    let missing = |name: &str| BundleError::Missing { name: name.to_owned() };
    let cases = [
        (vec![], BundleError::NoIndex),
        (vec![file("main.html", "<p>")], BundleError::NoIndex),
        (vec![file("index.html", " \n")], BundleError::NoIndex),
        (vec![file("index.html", "<script src=./app.js></script>")], missing("./app.js")),
        (vec![file("index.html", "<link rel=stylesheet href=a.css>"), file("b.css", "")], missing("a.css")),
        (
            vec![file("index.html", "<p>"), file("a.js", "1"), file("./a.js", "2")],
            BundleError::Twice { filename: "a.js".to_owned() },
        ),
        (
            vec![file("index.html", "<script src=a.js></script>"), file("a.js", &large)],
            BundleError::TooLarge { bytes: PAGE_BYTES_MAX + "<script></script>".len() },
        ),
    ];
    for (files, error) in cases {
        assert_eq!(bundle(&files), Err(error));
    }
}

#[test]
fn a_file_is_not_multiplied_beyond_the_limit() {
    let script = "x".repeat(100_000);
    let index = "<script src=a.js></script>".repeat(5000);
    let error = bundle(&[file("index.html", &index), file("a.js", &script)]).unwrap_err();
    let BundleError::TooLarge { bytes } = error else { panic!("{error}") };
    assert!(bytes < PAGE_BYTES_MAX + 2 * script.len(), "{bytes} bytes were put together");
}

proptest! {
    #[test]
    fn no_files_make_it_panic(
        index in "(<(/)?(script|link|body|head|style)( (src|href)=(a\\.js|b\\.css))?( rel=stylesheet)?( defer)?>|\\PC)*",
        script in "(</?script|<!--|\\PC)*",
        sheet in "(</style|\\PC)*",
    ) {
        let _ = bundle(&[file("index.html", &index), file("a.js", &script), file("b.css", &sheet)]);
    }

    #[test]
    fn an_inlined_script_ends_where_its_file_ends(script in "(</?script|<!--|-->|[<>/a-z' ])*") {
        let files = [file("index.html", "<script src=a.js></script><p id=after>"), file("a.js", &script)];
        let page = bundle(&files).unwrap();
        let outline = html::outline(&page).unwrap();
        prop_assert_eq!(outline.scripts.len(), 1);
        let content = &page[outline.scripts[0].content(&page)];
        prop_assert_eq!(content.replace("\\x3C", "<"), script);
        prop_assert!(page.ends_with("</script><p id=after>"));
    }
}
