//! What a kept file is called: what its page or server calls it, made safe and unique within its job.

use crate::job::JobFile;

/// Longest name, in bytes: it fits every file system and a line of a terminal.
const NAME_BYTES_MAX: usize = 120;
/// Longest ending that a name keeps when it is cut: beyond that it is no ending.
const ENDING_BYTES_MAX: usize = 16;
/// What a file is called that nobody named.
const NAMELESS: &str = "download";

/// A name that leads nowhere else, hides nothing and can be written on any system.
pub(in crate::runner) fn safe_name(suggested: &str) -> String {
    let safe: String = suggested.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let safe = safe.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']);
    if safe.is_empty() { NAMELESS.to_owned() } else { fitted(safe, "") }
}

/// The same with a number where a file of the job has it already.
pub(in crate::runner) fn unique_name(suggested: &str, taken: &[JobFile]) -> String {
    let safe = safe_name(suggested);
    let is_free = |name: &String| !taken.iter().any(|file| file.name == *name);
    let numbered = (2_u64..).map(|number| fitted(&safe, &format!(" ({number})")));
    std::iter::once(safe.clone()).chain(numbered).find(is_free).expect("there are more numbers than files")
}

/// Neither part of a path, nor forbidden by some system, nor moving or turning what is written around it.
fn is_safe(c: char) -> bool {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns_text && !"/\\<>:\"|?*".contains(c)
}

/// The name with a mark before its ending, cut between characters where it is too long.
fn fitted(name: &str, mark: &str) -> String {
    let ending_at = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= ENDING_BYTES_MAX).unwrap_or(name.len());
    let (stem, ending) = name.split_at(ending_at);
    let room = NAME_BYTES_MAX - mark.len() - ending.len();
    format!("{}{mark}{ending}", &stem[..stem.floor_char_boundary(room)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{FileKind, WallTime};

    #[test]
    fn a_name_leads_nowhere_and_hides_nothing() {
        for (suggested, safe) in [
            ("report.pdf", "report.pdf"),
            ("Ümläut (1).tar.gz", "Ümläut (1).tar.gz"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..\\..\\boot.ini", "_.._boot.ini"),
            ("/etc/passwd", "_etc_passwd"),
            (".bashrc", "bashrc"),
            ("...", "download"),
            ("", "download"),
            ("  ", "download"),
            ("a\0b\nc\u{1b}[2J.txt", "a_b_c_[2J.txt"),
            ("invoice\u{202e}fdp.exe", "invoice_fdp.exe"),
            ("name.", "name"),
            ("C:con?.txt", "C_con_.txt"),
        ] {
            assert_eq!(safe_name(suggested), safe, "{suggested:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_ending() {
        let long = safe_name(&format!("{}.pdf", "é".repeat(200)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("é.pdf"), "{long}");
        let no_ending = safe_name(&format!("a.{}", "b".repeat(300)));
        assert_eq!(no_ending.len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_before_its_ending() {
        let file = |name: &str| JobFile {
            name: name.to_owned(),
            kind: FileKind::Download,
            size_bytes: 0,
            at: WallTime::from_micros(0),
        };
        assert_eq!(unique_name("a.pdf", &[]), "a.pdf");
        assert_eq!(unique_name("a.pdf", &[file("a.pdf")]), "a (2).pdf");
        assert_eq!(unique_name("a.pdf", &[file("a.pdf"), file("a (2).pdf")]), "a (3).pdf");
        let long = "x".repeat(NAME_BYTES_MAX);
        let second = unique_name(&long, &[file(&long)]);
        assert!(second.ends_with("x (2)") && second.len() == NAME_BYTES_MAX, "{second}");
    }
}
