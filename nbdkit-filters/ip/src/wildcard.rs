// SPDX-License-Identifier: BSD-3-Clause
//! Patterns as in a shell: `*` for anything, `?` for one character.

/// Whether `text` is of the form of `pattern`. In time linear in both for one `*`, and never worse than their product.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut p) = (0, 0);
    // Where to go on if the last star has to take one character more.
    let mut star = None;
    while let Some(&have) = text.get(at) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, at));
                p += 1;
            }
            Some(&want) if want == '?' || want == have => (p, at) = (p + 1, at + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (p, at) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("**", "", true),
            ("?", "", false),
            ("?", "\u{e9}", true),
            ("CN=client", "CN=client", true),
            ("CN=client", "CN=client,O=x", false),
            ("CN=*,O=Example", "CN=a,O=b,O=Example", true),
            ("CN=*,O=Example", "CN=a,O=Example Ltd", false),
            ("*,O=Example", "O=Example", false),
            ("*a*b", "aaab", true),
            ("*a*b", "aaa", false),
            ("a?c*", "abcd", true),
            ("[a]", "a", false),
            ("[a]", "[a]", true),
            ("CN=A", "CN=a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_for_ever() {
        assert!(!matches(&"*a".repeat(1000), &"b".repeat(10_000)));
        assert!(!matches(&format!("{}b", "a*".repeat(1000)), &"a".repeat(10_000)));
    }

    /// The same, slower and plainer.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
            (['?', rest @ ..], [_, text @ ..]) => plainly(rest, text),
            ([want, rest @ ..], [have, text @ ..]) => want == have && plainly(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), plainly(&chars(&pattern), &chars(&text)));
        }
    }
}
