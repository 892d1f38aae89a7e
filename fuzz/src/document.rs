//! JSON edited as text.

use runtime_bridge::document::{Node, Style};
use runtime_bridge::report::chain;
use serde_json::Value;

/// What is not edited keeps its bytes, and what is edited is JSON again, with the one change.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    match Node::array(text, "it") {
        Ok(node) => {
            assert_eq!(node.to_string(), text);
            array(node);
        }
        Err(error) => super::one_line(&chain(&error)),
    }
    match Node::object(text, "it") {
        Ok(node) => {
            assert_eq!(node.to_string(), text);
            object(&node);
        }
        Err(error) => super::one_line(&chain(&error)),
    }
}

fn array(mut node: Node) {
    let before = items(&node);
    let style = Style::of(&node);
    node.prepend("0".to_owned(), &style, 1);
    let text = node.to_string();
    let mut longer = Node::array(&text, "it").unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(items(&longer)[1..], before);
    longer.remove_at(0);
    assert_eq!(items(&longer), before);
    for index in (0..before.len()).rev() {
        let mut shorter = longer.clone();
        shorter.remove_at(index);
        let text = shorter.to_string();
        let mut left = before.clone();
        left.remove(index);
        assert_eq!(items(&Node::array(&text, "it").expect("it was one before")), left);
        if index > 3 {
            return;
        }
    }
}

fn object(node: &Node) {
    let before = items(node);
    let style = Style::of(node);
    let names = before
        .iter()
        .take(4)
        .map(|(name, _)| name.clone())
        .chain(["new \"name\"".to_owned()]);
    for name in names {
        let mut edited = node.clone();
        edited.set(&name, "0".to_owned(), &style, 1);
        let text = edited.to_string();
        let again = Node::object(&text, "it").unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(again.get(&name), Some("0"), "{text}");
        assert_eq!(others(&again, &name), others(node, &name));

        edited.remove(&name);
        let text = edited.to_string();
        let again = Node::object(&text, "it").unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(items(&again), others(node, &name), "{text}");
    }
    if let Ok(value) = serde_json::from_str::<Value>(&node.to_string()) {
        for depth in 0..3 {
            let text = style.render(&value, depth);
            assert_eq!(
                serde_json::from_str::<Value>(&text).ok().as_ref(),
                Some(&value),
                "{text}"
            );
        }
    }
}

/// Names and values, as written.
fn items(node: &Node) -> Vec<(String, String)> {
    node.iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn others(node: &Node, name: &str) -> Vec<(String, String)> {
    items(node)
        .into_iter()
        .filter(|(other, _)| other != name)
        .collect()
}
