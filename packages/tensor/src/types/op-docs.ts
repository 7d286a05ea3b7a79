/** What editors show of each op. Written by `pnpm docs:ops`, from the op table; a test holds that it is true. */
export interface OpDocs {
  /** Sum x + y. */
  readonly add: unknown;
  /** Difference x - y. */
  readonly sub: unknown;
  /** Product x · y. */
  readonly mul: unknown;
  /** Quotient x / y; integers divide in f32. */
  readonly div: unknown;
  /** Power x^y. */
  readonly pow: unknown;
  /** The larger of x and y; NaN where either is. */
  readonly maximum: unknown;
  /** The smaller of x and y; NaN where either is. */
  readonly minimum: unknown;
  /** Quotient rounded down, ⌊x / y⌋. Integer division by zero gives 0. */
  readonly floorDivide: unknown;
  /** Remainder x - y·⌊x / y⌋, with the divisor's sign. Integer division by zero gives 0. */
  readonly remainder: unknown;
  /** x · sigmoid(x) · y: the gated unit of SwiGLU (arXiv 2002.05202, eq. 5, before the last product). */
  readonly siluMul: unknown;
  /** Angle of the point (y, x) = (self, other), in radians. */
  readonly atan2: unknown;
  /** Negation -x. */
  readonly neg: unknown;
  /** Absolute value |x|. */
  readonly abs: unknown;
  /** Sign of x: -1, 0 or 1; NaN stays NaN. */
  readonly sign: unknown;
  /** Square x². */
  readonly square: unknown;
  /** Square root √x. */
  readonly sqrt: unknown;
  /** Reciprocal square root 1/√x. */
  readonly rsqrt: unknown;
  /** Reciprocal 1/x. */
  readonly reciprocal: unknown;
  /** Exponential eˣ. */
  readonly exp: unknown;
  /** eˣ - 1, accurate near 0. */
  readonly expm1: unknown;
  /** Natural logarithm. */
  readonly log: unknown;
  /** Logarithm to base 2. */
  readonly log2: unknown;
  /** log(1 + x), accurate near 0. */
  readonly log1p: unknown;
  /** Sine; x in radians. */
  readonly sin: unknown;
  /** Cosine; x in radians. */
  readonly cos: unknown;
  /** Tangent; x in radians. */
  readonly tan: unknown;
  /** Arc sine, in radians. */
  readonly asin: unknown;
  /** Arc cosine, in radians. */
  readonly acos: unknown;
  /** Arc tangent, in radians. */
  readonly atan: unknown;
  /** Hyperbolic sine. */
  readonly sinh: unknown;
  /** Hyperbolic cosine. */
  readonly cosh: unknown;
  /** Hyperbolic tangent. */
  readonly tanh: unknown;
  /** Inverse hyperbolic sine. */
  readonly asinh: unknown;
  /** Inverse hyperbolic cosine. */
  readonly acosh: unknown;
  /** Inverse hyperbolic tangent. */
  readonly atanh: unknown;
  /** Error function (2/√π) ∫₀ˣ e^(-t²) dt. */
  readonly erf: unknown;
  /** Logistic function 1 / (1 + e⁻ˣ). */
  readonly sigmoid: unknown;
  /** log(1 + eˣ), without overflow. */
  readonly softplus: unknown;
  /** max(x, 0); the derivative at 0 is taken as 0. */
  readonly relu: unknown;
  /** x · sigmoid(x) (swish; arXiv 1702.03118). */
  readonly silu: unknown;
  /** x · Φ(x) with the exact normal distribution function (arXiv 1606.08415). */
  readonly gelu: unknown;
  /** The tanh approximation of gelu (arXiv 1606.08415, eq. for 0.5x(1 + tanh[√(2/π)(x + 0.044715x³)])). */
  readonly geluTanh: unknown;
  /** x where x > 0, else eˣ - 1 (arXiv 1511.07289, α = 1). */
  readonly elu: unknown;
  /** Largest integer ≤ x. */
  readonly floor: unknown;
  /** Smallest integer ≥ x. */
  readonly ceil: unknown;
  /** Nearest integer; halves go to the even one. */
  readonly round: unknown;
  /** Integer part, toward zero. */
  readonly trunc: unknown;
  /** A row-major copy. */
  readonly clone: unknown;
  /** x = y. */
  readonly eq: unknown;
  /** x ≠ y. */
  readonly ne: unknown;
  /** x < y. */
  readonly lt: unknown;
  /** x ≤ y. */
  readonly le: unknown;
  /** x > y. */
  readonly gt: unknown;
  /** x ≥ y. */
  readonly ge: unknown;
  /** True where x is NaN. */
  readonly isNaN: unknown;
  /** True where x is neither NaN nor ±Infinity. */
  readonly isFinite: unknown;
  /** True where x is zero. */
  readonly logicalNot: unknown;
  /** True where both are nonzero. */
  readonly logicalAnd: unknown;
  /** True where either is nonzero. */
  readonly logicalOr: unknown;
  /** True where just one is nonzero. */
  readonly logicalXor: unknown;
  /** x where the condition holds, else y; all three broadcast. */
  readonly where: unknown;
  /** x held between `min` and `max`, of which either may be null or missing; the derivative is 1 inside (ends included) and 0 outside. */
  readonly clip: unknown;
  /** x in another dtype: floats round to nearest, ties to even, in one step; into integers they truncate toward zero (i32 saturates, u8 wraps); anything nonzero is true. */
  readonly cast: unknown;
  /** Sum; bool and u8 add up in i32. An empty sum is 0. */
  readonly sum: unknown;
  /** Arithmetic mean; integers in f32. The mean of nothing is NaN. */
  readonly mean: unknown;
  /** Product; bool and u8 multiply in i32. An empty product is 1. */
  readonly prod: unknown;
  /** Largest element; NaN where there is one. Equal maxima share the gradient. */
  readonly max: unknown;
  /** Smallest element; NaN where there is one. Equal minima share the gradient. */
  readonly min: unknown;
  /** True where any element is nonzero. */
  readonly any: unknown;
  /** True where no element is zero. */
  readonly all: unknown;
  /** The same elements in row-major order under another shape; one size may be -1. Copies only where strides do not allow a view. */
  readonly reshape: unknown;
  /** Axes in another order: axis i of the result is axis `axes[i]` of x. */
  readonly permute: unknown;
  /** Stretched to a broader shape by repetition, without a copy; -1 keeps a size. */
  readonly expand: unknown;
  /** A range `[start, stop, step]` of each leading axis, as in Python; null takes the whole axis, a negative step runs backwards. */
  readonly slice: unknown;
  /** Matrix product over the last two axes, [..., m, k] × [..., k, n] → [..., m, n]; leading axes broadcast. A vector on either side acts as a row or a column, as in NumPy. */
  readonly matmul: unknown;
  /** x weightᵀ + bias over the last axis: [..., in], weights [out, in] and a bias [out] → [..., out]. */
  readonly linear: unknown;
  /** Gradient of softmax, y (g - Σ g y), from g, the gradient of its result y. */
  readonly softmaxGrad: unknown;
  /** Gradient of logSoftmax, g - eʸ Σ g, from g, the gradient of its result y. */
  readonly logSoftmaxGrad: unknown;
  /** eˣ / Σ eˣ along an axis (the last unless told), without overflow. */
  readonly softmax: unknown;
  /** log softmax along an axis (the last unless told), without overflow. */
  readonly logSoftmax: unknown;
  /** Running sum along an axis (the last unless told); bool and u8 add up in i32. */
  readonly cumsum: unknown;
  /** log Σ eˣ along an axis, or over all elements, without overflow. Of nothing: -Infinity. */
  readonly logSumExp: unknown;
  /** Position of the (first) largest element along an axis, or in row-major order over all; a NaN counts as largest. */
  readonly argMax: unknown;
  /** Position of the (first) smallest element along an axis, or in row-major order over all; a NaN counts as smallest. */
  readonly argMin: unknown;
  /** Tensors joined end to end along an existing axis (the first unless told). */
  readonly concat: unknown;
  /** x framed by `value` (0 unless told): `widths[i]` elements before and after along axis i; missing axes get none. */
  readonly pad: unknown;
  /** Zeros of a shape, with x at the places start + i·step along each axis: what slice() would read is x. */
  readonly unslice: unknown;
  /** Slices of x along an axis, picked by an index tensor whose whole shape takes the axis's place (PyTorch's index_select for a vector, NumPy's take for any shape). */
  readonly indexSelect: unknown;
  /** x with slices of `source` added at the places along an axis that the index tensor names; repeated places add up. */
  readonly indexAdd: unknown;
  /** Elements of x picked along an axis by an index of the same rank (PyTorch): out[i][j] = x[index[i][j]][j] for axis 0. */
  readonly gather: unknown;
  /** x / √(mean x² + eps) · weight over the last axis (arXiv 1910.07467, eq. 4); eps is 1e-6 unless told. */
  readonly rmsNorm: unknown;
  /** Gradients of rmsNorm, one after the other: of x, then of the weight; from g, the gradient of its result. */
  readonly rmsNormGrad: unknown;
  /** (x - mean) / √(variance + eps) · weight + bias over the last axis, with the variance of the population (arXiv 1607.06450); eps is 1e-5 unless told. */
  readonly layerNorm: unknown;
  /** Gradients of layerNorm, one after the other: of x, of the weight, of the bias; from g, the gradient of its result. */
  readonly layerNormGrad: unknown;
  /** softmax(scale · q kᵀ) v for q [..., T, d], k [..., S, d], v [..., S, d_v], with the log-sum-exp of the scores of each query beside it: [..., T, d_v + 1] (arXiv 1706.03762, eq. 1; 2205.14135). A query that sees no key gets zeros. */
  readonly attention: unknown;
  /** Gradients of attention, one after the other: of q, of k, of v; from g, the gradient of its result y, and from y. */
  readonly attentionGrad: unknown;
  /** The pairs (x_i, x_{i + d/2}) of the last axis turned by the angles whose cosines and sines are given: x [..., T, d], cos and sin [T, d/2] (RoFormer, arXiv 2104.09864, eq. 34, in the rotate-half layout). */
  readonly rotary: unknown;
  /** -log softmax(logits)[target] for logits [..., classes] and integer targets [...]; 0 where the target is `ignoreIndex` (-100 unless told). */
  readonly softmaxCrossEntropy: unknown;
  /** Gradient of softmaxCrossEntropy with respect to the logits, from g, the gradient of its result. */
  readonly softmaxCrossEntropyGrad: unknown;
  /** One AdamW update (arXiv 1711.05101): the new parameter, mean and mean square of the gradient, stacked: [3, ...]. */
  readonly adamWStep: unknown;
  /** 1 - erf(x), with all its bits where it is small. */
  readonly erfc: unknown;
  /** e^(x²) · erfc(x), which neither overflows nor vanishes for large x. */
  readonly erfcx: unknown;
  /** The inverse of erf, between -1 and 1; ±Infinity at the ends, NaN outside. */
  readonly erfinv: unknown;
  /** The normal distribution function Φ(x), the area under the standard normal density up to x. */
  readonly ndtr: unknown;
  /** The inverse of Φ (the probit), between 0 and 1; ±Infinity at the ends, NaN outside. */
  readonly ndtri: unknown;
  /** log Φ(x), without underflow. */
  readonly logNdtr: unknown;
  /** log |Γ(x)|; Infinity at 0 and the negative whole numbers. */
  readonly lgamma: unknown;
  /** ψ(x), the derivative of log Γ(x); at ±0 ∓Infinity, at the negative whole numbers NaN. */
  readonly digamma: unknown;
  /** The derivative of ψ(x) of the given order (0: ψ itself). */
  readonly polygamma: unknown;
  /** The regularised lower incomplete gamma function P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a), for a, x ≥ 0; of order n, its n-th derivative with respect to a. */
  readonly gammainc: unknown;
  /** The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), with all its bits where it is small. */
  readonly gammaincc: unknown;
  /** The modified Bessel function of the first kind I_n(x) of whole order n. */
  readonly besselI: unknown;
  /** e^-|x| · I_n(x): the modified Bessel function, exponentially scaled. */
  readonly besselIe: unknown;
  /** sin(πx) / (πx), 1 at 0; of order n, its n-th derivative. */
  readonly sinc: unknown;
  /** Power 2ˣ. */
  readonly exp2: unknown;
  /** Logarithm to base 10. */
  readonly log10: unknown;
  /** Cube root, of negative numbers too. */
  readonly cbrt: unknown;
  /** log(x / (1 - x)), the inverse of sigmoid; with `eps`, of x held between eps and 1 - eps. */
  readonly logit: unknown;
  /** True where x is Infinity or -Infinity. */
  readonly isInf: unknown;
  /** x · log y; 0 where x is 0, unless y is NaN. */
  readonly xlogy: unknown;
  /** x · log(1 + y); 0 where x is 0, unless y is NaN. */
  readonly xlog1py: unknown;
  /** log(eˣ + eʸ), without overflow. */
  readonly logAddExp: unknown;
  /** Length √(x² + y²), without overflow. */
  readonly hypot: unknown;
  /** Remainder x - y·trunc(x / y), with the dividend's sign. Integer division by zero gives 0. */
  readonly fmod: unknown;
  /** Quotient rounded toward zero, trunc(x / y). Integer division by zero gives 0. */
  readonly truncDivide: unknown;
  /** max(x, 0)² (arXiv 2109.08668). */
  readonly relu2: unknown;
  /** log(sigmoid(x)) = -log(1 + e⁻ˣ), without overflow. */
  readonly logSigmoid: unknown;
  /** x · tanh(softplus(x)) (arXiv 1908.08681). */
  readonly mish: unknown;
  /** x / (1 + |x|); ±1 at ±Infinity. */
  readonly softsign: unknown;
  /** x/6 + 1/2 held between 0 and 1 (arXiv 1905.02244). */
  readonly hardsigmoid: unknown;
  /** x · hardsigmoid(x) (arXiv 1905.02244, section 5.2). */
  readonly hardswish: unknown;
  /** λ·x where x > 0, else λα(eˣ - 1), which keeps mean 0 and variance 1 (arXiv 1706.02515). */
  readonly selu: unknown;
  /** x where x > 0, else α(e^(x/α) - 1), whose slope is continuous for every α (arXiv 1704.07483); α is 1 unless told. */
  readonly celu: unknown;
  /** x where x > 0, else slope · x; the slope is 0.01 unless told, and that of the derivative at 0. */
  readonly leakyRelu: unknown;
  /** Bits set in both x and y; of bool, true where both are. */
  readonly bitwiseAnd: unknown;
  /** Bits set in x, in y or in both; of bool, true where either is. */
  readonly bitwiseOr: unknown;
  /** Bits set in just one of x and y; of bool, true where they differ. */
  readonly bitwiseXor: unknown;
  /** Every bit turned: -x - 1 of i32, 255 - x of u8, not x of bool. */
  readonly bitwiseNot: unknown;
  /** x · 2ʸ, less the bits that leave at the top; 0 where y is negative or exceeds the width. */
  readonly leftShift: unknown;
  /** ⌊x / 2ʸ⌋, filled up with the sign; where y is negative or exceeds the width, with nothing else. */
  readonly rightShift: unknown;
  /** x with each element of `source` added at the place along an axis that the index names (PyTorch): out[index[i][j]][j] += source[i][j] for axis 0. */
  readonly scatterAdd: unknown;
  /** x with each element of `source` in the place along an axis that the index names (PyTorch): out[index[i][j]][j] = source[i][j] for axis 0. Of several for one place the last in row-major order stays. */
  readonly scatterSet: unknown;
  /** x multiplied by each element of `source` at the place along an axis that the index names: out[index[i][j]][j] *= source[i][j] for axis 0. */
  readonly scatterMul: unknown;
  /** The larger of x and all elements of `source` for its place, which the index names along an axis; a NaN counts as largest. */
  readonly scatterMax: unknown;
  /** The smaller of x and all elements of `source` for its place, which the index names along an axis; a NaN counts as smallest. */
  readonly scatterMin: unknown;
  /** x with `source` in the place of what slice(ranges) would read; the source has the shape of that. */
  readonly sliceScatter: unknown;
  /** The positions, i32, at which values would keep x in order: x ascends along its last axis, of which each line serves the line of values in its place; a vector serves values of any shape. Of equal elements before the first, or with side `right` after the last; a NaN counts as largest. */
  readonly searchSorted: unknown;
  /** The positions, i32, that sort x along an axis (the last unless told). Equal elements keep their order; a NaN counts as largest: last, or first where `descending`. */
  readonly argSort: unknown;
  /** The positions, i32, of the k largest (or smallest) elements along an axis (the last unless told), best first unless `sorted` is false: then in the order of their positions. Of equal elements the first are taken; a NaN counts as largest. */
  readonly argTopK: unknown;
  /** The position, i32, of the (latest) largest element so far along an axis (the last unless told); a NaN counts as largest. */
  readonly argCumMax: unknown;
  /** The position, i32, of the (latest) smallest element so far along an axis (the last unless told); a NaN counts as smallest. */
  readonly argCumMin: unknown;
  /** Running product along an axis (the last unless told); bool and u8 multiply in i32. Its gradient is exact where elements are zero. */
  readonly cumprod: unknown;
  /** Running log Σ eˣ along an axis (the last unless told), without overflow. */
  readonly logCumSumExp: unknown;
  /** The elements at i of one axis and i + `offset` of another (the first two unless told), along a new last axis in place of the two, as in PyTorch. */
  readonly diagonal: unknown;
  /** Sliding windows over an axis or several, without a copy: the number of windows takes the axis's place, the window's elements follow in axes at the end (PyTorch's Tensor.unfold, over several axes). Windows lie `steps` apart (1 unless told), their elements `dilations` (1 unless told). */
  readonly windows: unknown;
  /** Zeros of a shape, with windows added in at their places: the transpose of `windows`, which takes the same axes, steps and dilations. Where windows overlap, their elements add up. */
  readonly overlapAdd: unknown;
  /** Convolution (without turning the kernel round, as usual in networks) of x [N, C, ...size], padded with zeros, with a weight [O, C / groups, ...kernel]: [N, O, ...out]. */
  readonly convolution: unknown;
  /** The transpose of `convolution` with respect to its input, which has the spatial sizes `size`: y [N, O, ...out] and a weight [O, C / groups, ...kernel] give [N, C, ...size]. */
  readonly convolutionTranspose: unknown;
  /** The transpose of `convolution` with respect to its weight, which has the spatial sizes `kernel`: x [N, C, ...size] and y [N, O, ...out] give [O, C / groups, ...kernel]. */
  readonly convolutionWeight: unknown;
  /** Discrete Fourier transform Σ xⱼ e^(-2πi jk/n) of pairs along an axis (the last unless told; counted without that of the pairs), cut off or filled up to n points. */
  readonly fft: unknown;
  /** The first ⌊n/2⌋ + 1 numbers, as pairs, of the Fourier transform of real numbers along an axis (the last unless told), cut off or filled up to n points; the others are their conjugates. */
  readonly rfft: unknown;
  /** The n real numbers (2(m - 1) unless told) whose Fourier transform begins with m pairs along an axis (the last unless told; counted without that of the pairs). Imaginary parts of what must be real do not count. */
  readonly irfft: unknown;
  /** The X of A X = B for square matrices A, by LU with partial pivoting; a B of one axis is one vector. Leading axes broadcast. A singular A is refused. */
  readonly solve: unknown;
  /** The X of A X = B, or of Aᵀ X = B with `transpose`, where only the lower triangle of A is read, or the upper with `upper`; with `unitDiagonal` the diagonal counts as 1. Leading axes broadcast. A zero on the diagonal is refused. */
  readonly triangularSolve: unknown;
  /** The Moore-Penrose inverse. Singular values up to `rtol` times the largest count as 0; unless told, the larger size times the dtype's rounding (as in PyTorch). */
  readonly pinv: unknown;
  /** The determinant of square matrices, by LU with partial pivoting; 1 for matrices of size 0. See `slogdet` for large ones. */
  readonly det: unknown;
  /** Sign and logarithm of the absolute value of the determinant, in this order along a last axis of two; 0 and -Infinity where it is 0. `slogdet` hands out the two. */
  readonly slogdetPacked: unknown;
  /** The matrix of cofactors, det(A)·A⁻ᵀ where A has an inverse, and as exact where it has none (by elimination with complete pivoting). It is the gradient of the determinant. */
  readonly cofactor: unknown;
  /** The lower triangular L with a positive diagonal and L Lᵀ = A, or with `upper` the U = Lᵀ, of positive definite matrices. The symmetric part (A + Aᵀ)/2 is what is read. */
  readonly cholesky: unknown;
  /** The order of the rows in which elimination takes the largest pivot of each column first: rows `order` of A have an LU factorisation. */
  readonly luPermutation: unknown;
  /** L and U of A = L U in one matrix: U on and above the diagonal, L, whose diagonal is 1, below. The rows stay in their order: see `luPermutation`, and `lu` for all of it. */
  readonly luPacked: unknown;
  /** Q over Rᵀ, [m + n, n], of A = Q R for matrices with at least as many rows as columns: Q has orthonormal columns, R is upper triangular and its diagonal ≥ 0, which makes the two unique where A has full rank. `qr` hands out the parts and takes any shape. */
  readonly qrPacked: unknown;
  /** Orthonormal columns, [m, m - n], perpendicular to the n columns of each matrix, which are to be independent. */
  readonly orthogonalComplement: unknown;
  /** Eigenvalues, ascending, over eigenvectors, a column each: [n + 1, n]. The symmetric part (A + Aᵀ)/2 is what is read. Of the two signs of a vector v the one with Σᵢ wᵢ vᵢ > 0 is taken, wᵢ = 1 + the fraction of (i + 1)·0.618… (the golden ratio). `eigh` hands out the parts. */
  readonly eighPacked: unknown;
  /** The k = min(m, n) singular values, descending, over U over V, a vector a column: [1 + m + n, k], of A = U S Vᵀ. Of the two signs of a pair of vectors the one with Σᵢ wᵢ uᵢ > 0 is taken, w as in `eighPacked`. `svd` hands out the parts. */
  readonly svdPacked: unknown;
  /** The exponential Σ Aᵏ/k! of square matrices, by a Padé approximant with scaling and squaring (Higham 2005). NaN where an element is infinite or NaN. */
  readonly matrixExp: unknown;
}
