// SPDX-License-Identifier: MPL-2.0

//! A map of a few entries.

use std::borrow::Borrow;

/// Entries in the order of their keys, for as few as the streams of a bin.
///
/// A `BTreeMap` would do, but each of its types brings 15 kB of code that balances trees.
#[derive(Debug)]
pub(super) struct SmallMap<K, V>(Vec<(K, V)>);

impl<K: Ord, V> SmallMap<K, V> {
    /// Sets the value of a key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    /// Removes a key, and returns its value.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Keeps the entries of which `keeps` is true.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&V) -> bool) {
        self.0.retain(|(_, value)| keeps(value));
    }

    /// Returns the value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (_, value) = self.0.get(self.place(key).ok()?)?;
        Some(value)
    }

    /// Returns the value of a key, to be changed.
    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        let (_, value) = self.0.get_mut(place)?;
        Some(value)
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0
            .binary_search_by(|(other, _)| other.borrow().cmp(key))
    }
}

impl<K, V> SmallMap<K, V> {
    /// Iterates over the values.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// Iterates over the values, to change them.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Iterates over the entries, to change their values.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> SmallMap<u8, char> {
        let mut map = SmallMap::default();
        for (key, value) in [(3, 'c'), (1, 'a'), (2, 'x'), (2, 'b')] {
            map.insert(key, value);
        }
        map
    }

    #[test]
    fn values_come_in_the_order_of_keys_once_each() {
        let values: String = map().values().collect();
        assert_eq!(values, "abc");
    }

    #[test]
    fn a_removed_key_is_gone() {
        let mut map = map();
        assert_eq!(map.remove(&2), Some('b'));
        assert_eq!(map.remove(&2), None);
        assert_eq!(map.get(&2), None);
        assert_eq!(map.get(&3), Some(&'c'));
    }

    #[test]
    fn values_can_be_changed_in_place() {
        let mut map = map();
        for (key, value) in map.iter_mut() {
            *value = char::from(b'0' + key);
        }
        if let Some(value) = map.get_mut(&1) {
            *value = '9';
        }
        map.retain(|value| *value != '2');
        map.values_mut()
            .for_each(|value| value.make_ascii_uppercase());
        assert_eq!(map.values().collect::<String>(), "93");
    }
}
