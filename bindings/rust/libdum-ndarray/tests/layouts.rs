// SPDX-License-Identifier: MIT
//! Of each layout, the rows are those that ndarray sees, or an error says why not.
use libdum::{Context, Dataset, Error, Scorer};
use libdum_ndarray::rows;
use ndarray::{s, Array1, Array2, ArrayView2, Axis};

fn table() -> Array2<f32> {
    Array2::from_shape_fn((60, 5), |(i, j)| ((i * 7 + j * 13) % 31) as f32 + j as f32 * 0.25)
}

fn same(array: ArrayView2<'_, f32>) {
    let rows = rows(array).unwrap();
    assert_eq!((rows.len(), rows.cols()), array.dim());
    for (ours, theirs) in rows.iter().zip(array.rows()) {
        assert_eq!(ours, theirs.to_vec());
    }
}

fn refused(array: ArrayView2<'_, f32>, why: &str) {
    match rows(array) {
        Err(Error::Shape(message)) => assert!(message.contains(why), "{message}"),
        other => panic!("{other:?}"),
    }
    same(array.as_standard_layout().view());
}

#[test]
fn layouts() {
    let table = table();
    same(table.view());
    same(table.slice(s![..;3, ..]));
    same(table.slice(s![2.., 1..4]));
    same(table.slice(s![5..6, ..]));
    same(table.slice(s![5..6;-1, ..]));
    same(table.slice(s![.., 2..3]));
    same(table.slice(s![..0, ..]));
    same(table.slice(s![..0, ..;-1]));
    same(table.slice(s![.., ..0]));
    same(table.slice(s![..1, ..]).t().slice(s![.., ..1])); // one column: its stride says nothing
    same(Array2::zeros((0, 0)).view());
    same(Array2::zeros((3, 1)).view());
    refused(table.t(), "5 apart");
    refused(table.slice(s![.., ..;2]), "2 apart");
    refused(table.slice(s![.., ..;-1]), "-1 apart");
    refused(table.slice(s![..;-1, ..]), "in reverse");
    refused(table.row(0).broadcast((4, 5)).unwrap(), "over each other");
}

/// What lies between the rows may be changed meanwhile.
#[test]
fn a_neighbour_that_changes() {
    let mut table = table();
    let (left, mut right) = table.view_mut().split_at(Axis(1), 2);
    let rows = rows(left.view()).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| right.fill(9.0));
        assert_eq!(
            rows.iter().map(|row| row[1] - row[0]).sum::<f32>(),
            left.column(1).sum() - left.column(0).sum()
        );
    });
}

#[test]
fn the_same_scores() {
    let context = Context::new().unwrap();
    let table = table();
    let part = table.slice(s![..;2, 1..]);
    let copied = part.as_standard_layout().into_owned();
    let mut scores = Vec::new();
    for array in [part, copied.view()] {
        let mut scorer = Scorer::new(&context, "dum").unwrap().with("steps", 20).unwrap();
        scorer.fit(&Dataset::from_rows(&context, rows(array).unwrap()).unwrap()).unwrap();
        let array_of = |numbers| Array2::from_shape_vec(array.dim(), numbers).unwrap();
        let deviation = array_of(scorer.deviation(rows(array).unwrap()).unwrap());
        scores.push((Array1::from(scorer.score(rows(array).unwrap()).unwrap()), deviation));
    }
    assert_eq!(scores[0], scores[1]);
}
