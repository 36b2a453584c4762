// SPDX-License-Identifier: BSD-3-Clause
//! Names with `*` and `?` in them, as ssh_config(5) and sshd(8) have them.

/// Whether `name` is what `pattern` stands for: `*` is any text, `?` one character. Takes time in the order of both
/// lengths multiplied, whatever the pattern.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last star turns out not to fit: the star, and how much it eats.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, eaten)) = star else { return false };
                star = Some((at, eaten + 1));
                (p, n) = (at + 1, eaten + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether `name` is in a list of patterns: at least one stands for it, and none that begins with `!` does.
pub(crate) fn in_list<'a>(patterns: impl IntoIterator<Item = &'a str>, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not, name) => return false,
            Some(_) => {}
            None => found = found || matches(pattern, name),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "é", true),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "example.com", false),
            ("192.168.?.1*", "192.168.7.123", true),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("**a", "a", true),
            ("a", "A", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_list_with_exceptions() {
        let list = ["*.example.com", "!dialup.example.com"];
        assert!(in_list(list, "www.example.com"));
        assert!(!in_list(list, "dialup.example.com"));
        assert!(!in_list(["!dialup.example.com"], "www.example.com"));
        assert!(!in_list([], "a"));
    }

    /// The definition, word by word.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|eaten| by_definition(rest, &name[eaten..])),
            Some((c, rest)) => {
                name.split_first().is_some_and(|(n, name)| (*c == '?' || c == n) && by_definition(rest, name))
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), by_definition(&chars(&pattern), &chars(&name)));
        }
    }

    #[test]
    fn many_stars_end() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
    }
}
