//! Which URLs a call is about: arguments, lines of a file, lines of standard input.

use std::{
    io::{self, Read},
    path::Path,
};

use super::Problem;

/// Most URLs of one call; who has more wants a queue of their own, and is told so.
const URLS_MAX: usize = 100_000;
/// Most bytes of a list: as many URLs of a usual length.
const BYTES_MAX: u64 = 32 << 20;
/// Names standard input.
const STDIN: &str = "-";

/// The URLs that are named and those in `file`, in this order; "-" stands for standard input in both.
pub(super) fn gather(named: &[String], file: Option<&Path>) -> Result<Vec<String>, Problem> {
    let mut urls = Vec::new();
    for name in named {
        if name == STDIN { urls.extend(read(Path::new(STDIN))?) } else { urls.push(name.clone()) }
    }
    if let Some(file) = file {
        urls.extend(read(file)?);
    }
    match urls.len() {
        0 => Err(Problem::Usage("there is no URL in the list; give one per line".to_owned())),
        count if count > URLS_MAX => {
            Err(Problem::Usage(format!("{count} URLs are more than {URLS_MAX}; give them in several calls")))
        }
        _ => Ok(urls),
    }
}

fn read(file: &Path) -> Result<Vec<String>, Problem> {
    let fault = |why: String| Problem::Usage(format!("the list of URLs {} cannot be read: {why}", file.display()));
    let mut text = String::new();
    let bytes = if file == Path::new(STDIN) {
        io::stdin().take(BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|list| list.take(BYTES_MAX + 1).read_to_string(&mut text))
    };
    if bytes.map_err(|error| fault(error.to_string()))? as u64 > BYTES_MAX {
        return Err(fault(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(lines(&text))
}

/// One URL a line; empty lines, and those that begin with "#", say nothing.
fn lines(text: &str) -> Vec<String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_url_a_line_and_may_have_comments() {
        let text = "\u{feff}http://a/#x\r\n\n  http://b/ \n# http://c/\n";
        assert_eq!(lines(text), ["http://a/#x", "http://b/"]);
    }

    #[test]
    fn what_is_named_goes_before_what_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("urls");
        std::fs::write(&file, "http://c/\n").unwrap();
        let urls = gather(&["http://b/".to_owned(), "http://a/".to_owned()], Some(&file)).unwrap();
        assert_eq!(urls, ["http://b/", "http://a/", "http://c/"]);
        std::fs::write(&file, "# none\n").unwrap();
        assert!(gather(&[], Some(&file)).unwrap_err().text().unwrap().contains("one per line"));
        assert!(gather(&[], Some(dir.path())).unwrap_err().text().unwrap().contains("cannot be read"));
    }
}
