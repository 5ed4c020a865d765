//! JSON pointers (RFC 6901).

/// The names in a pointer, decoded (§4).
#[must_use]
pub fn split(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(name).collect()
}

/// One name as it is written in a pointer, decoded.
#[must_use]
pub fn name(written: &str) -> String {
    written.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_in_the_order_of_the_standard() {
        for (pointer, want) in [
            ("/user/email", vec!["user", "email"]),
            ("/a~1b/m~0n", vec!["a/b", "m~n"]),
            ("/~01", vec!["~1"]),
            ("/", vec![""]),
            ("/items/0", vec!["items", "0"]),
        ] {
            assert_eq!(split(pointer), want, "{pointer}");
        }
    }
}
