// Where the names of a plot's points stand.
#pragma once

#include "report/plot.h"

namespace expunge {

/// Puts each label of a scatter plot at a side of its point where it covers no point and no other label. Where there is none,
/// its label becomes part of the nearest one that stands: "R2 +3" for R2 and three more. Widths and heights are estimates of
/// what gnuplot_script() comes to for a plot from_zero.
void place_labels(Curve& curve);

}  // namespace expunge
