//! The cheapest way to give every row a column of its own.
//!
//! Source: Kuhn 1955 and Munkres 1957, in the form with shortest augmenting paths and potentials (Jonker and Volgenant
//! 1987); rows² · columns steps.

/// Costs of `rows × columns` pairs, row by row. There must be no fewer columns than rows, and every cost finite.
pub(super) struct Costs {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Costs {
    /// All pairs at one price.
    pub fn filled(rows: usize, columns: usize, cost: f32) -> Self {
        debug_assert!(rows <= columns, "a row would be left without a column");
        Self { rows, columns, values: vec![cost; rows * columns] }
    }

    /// Names the price of a pair.
    pub fn set(&mut self, row: usize, column: usize, cost: f32) {
        self.values[row * self.columns + column] = cost;
    }

    /// The price of a pair.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.columns + column]
    }
}

/// The column of each row, so that the sum of costs is least; of equal sums always the same one.
pub(super) fn cheapest(costs: &Costs) -> Vec<usize> {
    let mut search = Search::new(costs);
    for row in 1..=costs.rows {
        search.place(row);
    }
    let mut columns = vec![0; costs.rows];
    for column in 1..=costs.columns {
        if search.owner[column] > 0 {
            columns[search.owner[column] - 1] = column - 1;
        }
    }
    columns
}

/// Rows and columns count from 1; 0 stands for "none".
struct Search<'a> {
    costs: &'a Costs,
    row_price: Vec<f32>,
    column_price: Vec<f32>,
    owner: Vec<usize>,
    came_from: Vec<usize>,
    slack: Vec<f32>,
    done: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(costs: &'a Costs) -> Self {
        let columns = costs.columns + 1;
        Self {
            costs,
            row_price: vec![0.0; costs.rows + 1],
            column_price: vec![0.0; columns],
            owner: vec![0; columns],
            came_from: vec![0; columns],
            slack: vec![0.0; columns],
            done: vec![false; columns],
        }
    }

    /// Gives `row` a column and moves others along the cheapest path.
    fn place(&mut self, row: usize) {
        self.owner[0] = row;
        self.slack.fill(f32::INFINITY);
        self.done.fill(false);
        let mut column = 0;
        while self.owner[column] != 0 {
            column = self.widen(column);
        }
        while column != 0 {
            let before = self.came_from[column];
            self.owner[column] = self.owner[before];
            column = before;
        }
    }

    /// Adds `column` to the tree and returns the next one, by the least slack.
    fn widen(&mut self, column: usize) -> usize {
        self.done[column] = true;
        let row = self.owner[column];
        let (mut least, mut next) = (f32::INFINITY, 0);
        for other in 1..self.slack.len() {
            if self.done[other] {
                continue;
            }
            let reduced = self.costs.get(row - 1, other - 1) - self.row_price[row] - self.column_price[other];
            if reduced < self.slack[other] {
                (self.slack[other], self.came_from[other]) = (reduced, column);
            }
            if self.slack[other] < least {
                (least, next) = (self.slack[other], other);
            }
        }
        self.shift_prices(least);
        next
    }

    fn shift_prices(&mut self, by: f32) {
        for column in 0..self.slack.len() {
            if self.done[column] {
                self.row_price[self.owner[column]] += by;
                self.column_price[column] -= by;
            } else {
                self.slack[column] -= by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn costs(rows: usize, columns: usize, values: &[u8]) -> Costs {
        let mut costs = Costs::filled(rows, columns, 0.0);
        for row in 0..rows {
            for column in 0..columns {
                costs.set(row, column, f32::from(values[row * columns + column]));
            }
        }
        costs
    }

    fn by_trying_all(costs: &Costs, row: usize, taken: &mut Vec<usize>) -> f32 {
        if row == costs.rows {
            return 0.0;
        }
        let mut best = f32::INFINITY;
        for column in 0..costs.columns {
            if !taken.contains(&column) {
                taken.push(column);
                best = best.min(costs.get(row, column) + by_trying_all(costs, row + 1, taken));
                taken.pop();
            }
        }
        best
    }

    #[test]
    fn the_best_of_all_beats_the_best_of_each() {
        let shared = costs(2, 2, &[1, 2, 1, 9]);
        assert_eq!(cheapest(&shared), [1, 0]);
        assert!(cheapest(&Costs::filled(0, 3, 0.0)).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_cheaper(rows in 1..5_usize, more in 0..3_usize, values in prop::collection::vec(0..50_u8, 35)) {
            let costs = costs(rows, rows + more, &values);
            let chosen = cheapest(&costs);
            let mut distinct = chosen.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), rows);
            let sum: f32 = chosen.iter().enumerate().map(|(row, &column)| costs.get(row, column)).sum();
            prop_assert_eq!(sum, by_trying_all(&costs, 0, &mut Vec::new()));
        }
    }
}
