//! Tables, in TOML and JSON.

use procemu::Table;

/// A table that is read is written, in both forms, as what is read as the same table.
pub fn check(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    let table = match Table::from_str_named(text, "table") {
        Ok(table) => table,
        Err(error) => {
            let lines = 1 + text.matches('\n').count();
            assert!(
                error.line().is_none_or(|line| (1..=lines).contains(&line)),
                "{error} in {lines} lines"
            );
            return super::one_line(&error.to_string());
        }
    };
    let (toml, json) = (table.to_toml(), table.to_json());
    assert_eq!(Table::from_toml(&toml, "").as_ref(), Ok(&table), "{toml}");
    assert_eq!(Table::from_json(&json, "").as_ref(), Ok(&table), "{json}");
    let serde: Table = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(serde, table);

    assert_eq!(Table::merged([table.clone(), table.clone()]), table);
    let mut over = Table::new();
    over.merge(table.clone());
    assert_eq!(over, table);
    if let Some((key, folder)) = table.nested() {
        assert!(
            key.path()
                .strip_prefix(folder.path())
                .is_some_and(|rest| rest.starts_with('/'))
        );
    }
    for (key, entry) in &table {
        assert!(table.removals().all(|removed| removed != key));
        if let procemu::ValueSource::Literal(value) = &entry.source {
            match value.render(entry.separator) {
                Ok(text) => assert!(
                    text.ends_with('\n') && text.len() <= procemu::Value::MAX_BYTES && !text.contains('\0')
                ),
                Err(error) => super::one_line(&error.to_string()),
            }
        }
    }
}
